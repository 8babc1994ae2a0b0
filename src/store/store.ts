/**
 * The one database: an LMDB environment that only the daemon holding `lock` opens.
 *
 * INVARIANTS
 * - A transaction's promise resolves after its data is on the disk (overlappingSync: false; fdatasync before the answer).
 * - A transaction's body is synchronous by type: no I/O can happen while the write lock is held.
 * - A body that throws leaves no trace: it runs as a child transaction, and the error reaches the caller unchanged.
 * - Transactions of concurrent callers share one commit (group commit); each body still sees all bodies before it.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import { DmthinError } from '../base/errors.ts';
import { acquireFileLock } from '../base/file-lock.ts';
import type { Meta } from './decode.ts';
import { openTables } from './tables.ts';
import { createReader, type StoreReader } from './reader.ts';
import { createWriter, type StoreWriter } from './writer.ts';

/** Rejects, at compile time, a transaction body that returns a promise. */
type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

export interface Store extends StoreReader {
  /** The directory that holds the store and its lock. */
  readonly rootPath: string;
  /** Runs `body` alone; resolves when what it wrote is durable. */
  transaction<T>(name: string, body: (tx: StoreWriter) => Synchronous<T>): Promise<T>;
  close(): Promise<void>;
}

export interface StoreOptions {
  readonly rootPath: string;
  /** Called before and after every transaction with its name; lets tests stop the world at each of them. */
  readonly onTransaction?: ((point: `${'before' | 'after'} ${string}`) => void) | undefined;
}

export const STORE_FILE = 'store.mdb';
export const LOCK_FILE = 'lock';

/**
 * Opens the store under `rootPath`, creating both if need be (mode 0700).
 * @throws locked when another daemon has it; internal when its rows are not ours.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { rootPath, onTransaction } = options;
  mkdirSync(rootPath, { recursive: true, mode: 0o700 });
  const lock = acquireFileLock(join(rootPath, LOCK_FILE));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => lock.release());
  const environment = open({
    path: join(rootPath, STORE_FILE),
    noSubdir: true,
    maxDbs: 16,
    overlappingSync: false,
  });
  opened.defer(() => environment.close());
  const tables = openTables(environment);
  if (tables.meta.get('meta') === undefined) {
    const fresh: Meta = {
      schema: 1,
      storeId: randomUUID(),
      poolName: null,
      poolScanned: false,
      generation: null,
      nextSnapshotId: 1,
      nextDeviceId: 1,
    };
    await environment.childTransaction(() => void tables.meta.put('meta', fresh));
  }
  const reader = createReader(tables);
  reader.meta();
  const writer = createWriter(tables, reader);
  const closing = opened.move();
  return {
    ...reader,
    rootPath,
    async transaction<T>(name: string, body: (tx: StoreWriter) => Synchronous<T>): Promise<T> {
      onTransaction?.(`before ${name}`);
      const result = await environment
        .childTransaction<T>(() => body(writer))
        .catch((error: unknown) => {
          throw error instanceof DmthinError ? error : explainCommitFailure(name, rootPath, error);
        });
      onTransaction?.(`after ${name}`);
      return result;
    },
    close: () => closing.disposeAsync(),
  };
}

function explainCommitFailure(name: string, rootPath: string, error: unknown): DmthinError {
  const what = error instanceof Error ? error.message : String(error);
  return new DmthinError(
    'internal',
    {
      op: `store transaction "${name}"`,
      what: `could not be made durable: ${what}`,
      nextStep: `check free space and errors of the filesystem that holds ${rootPath}`,
    },
    error,
  );
}

export type { StoreReader, StoreWriter };

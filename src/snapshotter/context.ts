/** What the operations share. Built once by the composition root. */
import type { KeyedMutex } from '../base/keyed-mutex.ts';
import type { Log } from '../base/log.ts';
import type { DmClient } from '../dm/client.ts';
import type { ApplyStep } from '../pool/apply.ts';
import type { BaseSpec, EnsureBase } from '../pool/base-device.ts';
import type { ReadFigures } from '../pool/device-figures.ts';
import type { ThinPool } from '../pool/thin-pool.ts';
import type { Store } from '../store/store.ts';

export interface Context {
  readonly store: Store;
  readonly dm: DmClient;
  readonly pool: ThinPool;
  readonly apply: ApplyStep;
  /** Serialises operations on one key: an operation holds its key's lock from its first check to its reply. */
  readonly locks: KeyedMutex;
  readonly ensureBase: EnsureBase;
  readonly readFigures: ReadFigures;
  /** Grows the filesystem of an active device to the device's size. */
  readonly growFilesystem: (path: string, fsType: BaseSpec['fsType']) => Promise<void>;
  /** What a parentless snapshot is made as. */
  readonly base: BaseSpec;
  readonly asyncRemove: boolean;
  readonly discardBlocks: boolean;
  /** Resolves once recovery has brought store and pool together. @throws unavailable with the reason. */
  readonly whenReady: (op: string) => Promise<void>;
  /** Tells the background worker that something waits for removal. */
  readonly removalPending: () => void;
  readonly log: Log;
  readonly nowMs: () => number;
}

/** The label that gives one snapshot a size of its own. */
export const MAX_SIZE_LABEL = 'containerd.io/snapshot/max-size';

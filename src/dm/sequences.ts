/**
 * Sequences of ioctls on a thread of their own: creating a device takes one hop to another thread and back, instead of
 * one an ioctl.
 *
 * INVARIANTS
 * - The thread takes only what the kernel does without waiting for a snapshot's I/O: who suspends, resumes, removes or
 *   deletes stays on libuv's threads, and neither waits for the other.
 * - Sequences run one after another; the pool's metadata lock would not let them run at once either.
 * - When the thread dies, what it was asked is answered with an error, and whatever is asked later goes the other way.
 */
import { Worker } from 'node:worker_threads';
import { DmthinError, type ErrorCode, type ErrorDetail, toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { DmName } from '../base/units.ts';
import type { CreateOptions, DmClient, DmInfo, DmLine } from './client.ts';
import type { NodePaths } from './device-nodes.ts';

export interface SequenceData {
  /** /dev/mapper/control, open for as long as the thread lives. */
  readonly controlFd: number;
  readonly paths: NodePaths;
}

export type Call =
  | { readonly do: 'create'; readonly name: DmName; readonly options: CreateOptions }
  | {
      readonly do: 'messageUnlessPresent';
      readonly name: DmName;
      readonly message: string;
      readonly other: DmName;
    };
export interface Sequence {
  readonly id: number;
  readonly call: Call;
}

export type Done =
  | { readonly is: 'created'; readonly info: DmInfo }
  | { readonly is: 'told'; readonly status: DmLine[] | undefined };
interface Failed {
  readonly is: 'failed';
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;
}
export interface Answer {
  readonly id: number;
  readonly result: Done | Failed;
}

/** Enough for a thread that keeps nothing. */
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };
const OP = 'ioctl thread';

/** `client` with its sequences on a thread, which starts now; until it is up they wait for it. */
export function withSequences(client: DmClient, data: SequenceData, log: Log): DmClient {
  const thread = startThread(data, (error) =>
    log.error({ error }, 'the thread for sequences of ioctls has died; going on without it, more slowly'),
  );
  return {
    ...client,
    async create(name, options) {
      if (!thread.alive) return client.create(name, options);
      const done = await thread.run({ do: 'create', name, options });
      if (done.is === 'created') return done.info;
      throw unexpected(done);
    },
    async messageUnlessPresent(name, message, other) {
      if (!thread.alive) return client.messageUnlessPresent(name, message, other);
      const done = await thread.run({ do: 'messageUnlessPresent', name, message, other });
      if (done.is === 'told') return done.status;
      throw unexpected(done);
    },
    async close() {
      await thread.close();
      await client.close();
    },
  };
}

interface Thread {
  readonly alive: boolean;
  run(call: Call): Promise<Done>;
  /** Waits for what it was asked. */
  close(): Promise<void>;
}

function startThread(data: SequenceData, onDeath: (error: DmthinError) => void): Thread {
  const worker = new Worker(new URL('sequence-worker.ts', import.meta.url), {
    workerData: data,
    resourceLimits: LIMITS,
  });
  const pending = new Map<number, PromiseWithResolvers<Done>>();
  let alive = true;
  let count = 0;

  worker.on('message', ({ id, result }: Answer) => {
    const waiting = pending.get(id);
    pending.delete(id);
    if (result.is === 'failed') waiting?.reject(new DmthinError(result.code, result.detail));
    else waiting?.resolve(result);
  });
  worker.once('error', (cause) => {
    alive = false;
    const error = toDmthinError(cause, OP);
    onDeath(error);
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  });

  return {
    get alive() {
      return alive;
    },
    run(call) {
      count += 1;
      const waiting = Promise.withResolvers<Done>();
      pending.set(count, waiting);
      worker.postMessage({ id: count, call } satisfies Sequence);
      return waiting.promise;
    },
    async close() {
      await Promise.allSettled([...pending.values()].map(({ promise }) => promise));
      await worker.terminate();
    },
  };
}

function unexpected(done: Done): DmthinError {
  return new DmthinError('internal', { op: OP, what: `the answer belongs to another question: ${done.is}` });
}

/**
 * Finishes in the background what Remove left: removals put off by async_remove, by a crash, or by a kernel that refused.
 * One removal at a time, so that it never crowds out the callers; a failed one is tried again at the next round.
 */
import type { Log } from '../base/log.ts';
import type { Context } from './context.ts';
import { finishRemoval } from './remove.ts';

export interface RemovalWorker {
  /** Something waits for removal: begin soon. */
  wake(): void;
  /** Ends after the removal in hand. */
  stop(): Promise<void>;
}

export interface RemovalWorkerOptions {
  /** Built late, because the context itself wakes the worker. */
  readonly context: () => Context;
  readonly log: Log;
  /** From a wake to the first removal: gives Cleanup, which containerd calls at once after a collection, the first go. */
  readonly delayMs: number;
  /** Between rounds while something is left. */
  readonly retryMs: number;
}

export function createRemovalWorker({ context, log, delayMs, retryMs }: RemovalWorkerOptions): RemovalWorker {
  let timer: NodeJS.Timeout | undefined;
  let round: Promise<void> = Promise.resolve();
  let stopped = false;

  function schedule(inMs: number): void {
    if (stopped || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      round = runRound();
    }, inMs);
  }

  async function runRound(): Promise<void> {
    const { store } = context();
    for (const id of store.removals()) {
      if (stopped) return;
      try {
        await finishRemoval(context(), id);
      } catch (error) {
        log.warn({ error, snapshotId: id }, 'a removal could not be finished; trying again later');
      }
    }
    if (store.removals().length > 0) schedule(retryMs);
  }

  return {
    wake: () => schedule(delayMs),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await round;
    },
  };
}

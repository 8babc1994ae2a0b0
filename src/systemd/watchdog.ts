/** Keeps the service manager's watchdog quiet as long as we are alive. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../base/log.ts';

export interface WatchdogOptions {
  /** Silence after which the manager kills us, ms. */
  readonly limitMs: number;
  /** Fails, or does not end, when we are not alive. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
  readonly ping: () => Promise<void>;
  readonly log: Log;
}

/**
 * A ping every third of the limit, each after a probe that ended well within that time. An event loop that is blocked pings
 * by itself no more. @returns what ends it.
 */
export function startWatchdog({ limitMs, probe, ping, log }: WatchdogOptions): () => Promise<void> {
  const intervalMs = limitMs / 3;
  const ended = new AbortController();

  async function round(): Promise<void> {
    const limit = AbortSignal.any([ended.signal, AbortSignal.timeout(intervalMs)]);
    const late = new Promise<never>((_, reject) => {
      limit.addEventListener('abort', () => reject(new Error(`no answer within ${intervalMs} ms`)), {
        once: true,
      });
    });
    try {
      await Promise.race([probe(limit), late]);
      await ping();
    } catch (error) {
      if (ended.signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      log.error({ reason }, 'the daemon does not answer itself: the watchdog is not fed');
    }
  }

  async function rounds(): Promise<void> {
    while (!ended.signal.aborted) {
      const pause = sleep(intervalMs, undefined, { signal: ended.signal }).catch(() => undefined);
      await round();
      await pause;
    }
  }

  const running = rounds();
  return async () => {
    ended.abort();
    await running;
  };
}

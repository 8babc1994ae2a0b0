/** Looks at the pool at every event of device-mapper, and now and then besides: an event may be lost, a poll is late. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { DmEvents } from '../dm/events.ts';

export interface WatchOptions {
  /** Looks at the pool and does what is needed. Never throws. */
  readonly check: () => Promise<void>;
  /** undefined: there are no events here. */
  readonly events: DmEvents | undefined;
  /** The longest time between two looks. */
  readonly pauseMs: number;
  readonly log: Log;
}

/** Events come with every device that is made or removed on the machine: not each is worth a look of its own. */
const EVENT_PAUSE_MS = 500;

/** @returns a function that ends the watch, and waits for a look under way. */
export function watchPool(options: WatchOptions): () => Promise<void> {
  const { check, pauseMs, log } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let { events } = options;

  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal }).catch(() => undefined);

  /** Armed before the look, so that what happens during it is an event of the next wait. */
  async function lookAndWait(): Promise<void> {
    if (events === undefined) {
      await pause(pauseMs);
      await check();
      return;
    }
    try {
      await events.arm();
      await check();
      if ((await events.wait(pauseMs)) === 'event') await pause(EVENT_PAUSE_MS);
    } catch (error) {
      if (signal.aborted) return;
      log.warn(
        { error: toDmthinError(error, 'watch the pool') },
        'device-mapper tells no events; going on without them',
      );
      events = undefined;
    }
  }

  async function watch(): Promise<void> {
    while (!signal.aborted) await lookAndWait();
  }

  const watching = watch();
  return async () => {
    stopping.abort();
    await options.events?.close();
    await watching;
  };
}

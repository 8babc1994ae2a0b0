/** Waiting for something that another process does. */
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 100;

/**
 * Calls `probe` until it answers anything but undefined and false.
 * @throws Error naming `what` after `deadlineMs`, with the last error that `probe` threw as its cause.
 */
export async function waitFor<T>(
  what: string,
  deadlineMs: number,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const endsAt = performance.now() + deadlineMs;
  for (;;) {
    let failure: unknown;
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > endsAt)
      throw new Error(`waited ${deadlineMs / 1000} s in vain: ${what}`, { cause: failure });
    await sleep(PAUSE_MS);
  }
}

/** The one place that waits and tries again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DmthinError, type ErrorCode, hasCode } from './errors.ts';

export interface RetryOptions {
  /** Error codes that are worth another try; any other error is thrown at once. */
  readonly codes: readonly ErrorCode[];
  /** No new try starts after this time. */
  readonly deadlineMs: number;
  /** First pause; doubles up to `maxPauseMs`, each jittered between half and whole. */
  readonly pauseMs: number;
  readonly maxPauseMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Calls `attempt` until it succeeds, fails with another code, or the deadline has passed; then throws the last error.
 * @throws cancelled when `signal` aborts during a pause.
 */
export async function retry<T>(options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  const endsAt = performance.now() + options.deadlineMs;
  let pauseMs = options.pauseMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!hasCode(error, ...options.codes) || performance.now() >= endsAt) throw error;
      const jitteredMs = pauseMs * (0.5 + Math.random() / 2);
      const leftMs = Math.max(1, endsAt - performance.now());
      await pause(Math.min(jitteredMs, leftMs), options.signal, error);
      pauseMs = Math.min(pauseMs * 2, options.maxPauseMs);
    }
  }
}

async function pause(timeMs: number, signal: AbortSignal | undefined, cause: DmthinError): Promise<void> {
  try {
    await sleep(timeMs, undefined, signal === undefined ? {} : { signal });
  } catch {
    throw new DmthinError(
      'cancelled',
      { ...cause.detail, what: `cancelled while waiting: ${cause.detail.what}` },
      cause,
    );
  }
}

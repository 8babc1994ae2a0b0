/** What a check found. */
import type { DmthinError } from '../base/errors.ts';

export type Level = 'ok' | 'warning' | 'problem';

export interface Finding {
  readonly level: Level;
  /** What was found, as a clause. */
  readonly what: string;
  /** What to do about it; undefined where nothing is to be done. */
  readonly remedy: string | undefined;
}

export function ok(what: string): Finding {
  return { level: 'ok', what, remedy: undefined };
}

export function warning(what: string, remedy: string): Finding {
  return { level: 'warning', what, remedy };
}

export function problem(what: string, remedy: string): Finding {
  return { level: 'problem', what, remedy };
}

/** An error's own words and next step. */
export function failed(
  error: DmthinError,
  remedy: string,
  level: 'warning' | 'problem' = 'problem',
): Finding {
  const { nextStep } = error.detail;
  return { level, what: error.with({ nextStep: undefined }).message, remedy: nextStep ?? remedy };
}

/** "Could not tell" is not "absent": what another check must bring first. */
export function unseen(why: string): Finding {
  return { level: 'warning', what: `not looked at: ${why}`, remedy: 'see the lines above' };
}

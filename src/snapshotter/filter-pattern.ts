/**
 * Regular expressions of callers: RE2 syntax, linear time, bounded cost.
 *
 * Linear still means the size of the compiled pattern times that of the text, on every snapshot, and counted repetitions
 * make a short pattern large: `(…){1000}` compiles for seconds. So the compiled size is bounded before anything is
 * compiled, and the time of all matches of a request together is bounded too.
 */
import { RE2JS } from 're2js';
import { patternCost } from './filter-cost.ts';
import { filterError } from './filter-error.ts';

/** For all patterns of one request together, in instructions of the compiled program: fifteen times `[0-9a-f]{64}`. */
const MAX_COST = 1000;
/** For one pattern, in UTF-16 units. */
const MAX_LENGTH = 1024;
/** For all matches of one request together. Ordinary patterns take microseconds each. */
const MAX_MATCHING_MS = 2000;

export interface PatternBudget {
  /**
   * Compiles a pattern and takes its cost from the budget.
   * @returns whether a text has a match anywhere, as in Go's MatchString; it throws invalid_argument once the matches of
   * all patterns of this budget took too long.
   * @throws invalid_argument when it is no RE2 syntax, or the budget does not hold it.
   */
  compile(pattern: string): (text: string) => boolean;
}

/** @param now milliseconds of a clock that never goes back. */
export function createPatternBudget(now: () => number = () => performance.now()): PatternBudget {
  let costLeft = MAX_COST;
  let timeLeftMs = MAX_MATCHING_MS;
  return {
    compile(pattern) {
      if (pattern.length > MAX_LENGTH) {
        throw filterError(`the regular expression ${shown(pattern)} has more than ${MAX_LENGTH} characters`);
      }
      costLeft -= patternCost(pattern);
      if (costLeft < 0) {
        throw filterError(
          `the regular expressions are too large, the last of them ${shown(pattern)}: together they may have about ` +
            `${MAX_COST} characters, where what is under a repetition counts as often as it repeats`,
        );
      }
      const compiled = compileRe2(pattern);
      return (text) => {
        if (timeLeftMs < 0) {
          throw filterError(
            `matching the regular expressions took more than ${MAX_MATCHING_MS} ms, the last of them ${shown(pattern)}`,
          );
        }
        const startedAt = now();
        const matches = compiled.test(text);
        timeLeftMs -= now() - startedAt;
        return matches;
      };
    },
  };
}

function compileRe2(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw filterError(
      `${shown(pattern)} is no regular expression that RE2 knows: ${why.slice(0, 200)}`,
      error,
    );
  }
}

function shown(pattern: string): string {
  return JSON.stringify(pattern.length > 80 ? `${pattern.slice(0, 80)}...` : pattern);
}

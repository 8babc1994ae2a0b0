/** Short forms of running programs, for tests. */
import { type ProcessOptions, runChecked, runProcess } from '../../../src/base/process.ts';

/** Standard output of `argv`; a non-zero exit is an error with the program's own words. */
export function run(argv: readonly [string, ...string[]], options?: ProcessOptions): Promise<string> {
  const [file, ...args] = argv;
  return runChecked(runProcess, file, args, { timeoutMs: 120_000, ...options });
}

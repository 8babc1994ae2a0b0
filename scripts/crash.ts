/**
 * `npm run crash`: kills the daemon at every point of every operation, in the guest. docs/reliability.md tells what is killed,
 * what must hold afterwards, and how to read the output.
 */
import { runInGuest } from './in-guest.ts';
import { errorWords } from './words.ts';

const GUEST_LIMIT_S = 3600;

try {
  const argv = ['test/crash/main.ts', ...process.argv.slice(2)];
  process.exitCode = await runInGuest({ argv, host: false, timeoutS: GUEST_LIMIT_S });
} catch (error) {
  console.error(errorWords(error));
  process.exitCode = 69;
}

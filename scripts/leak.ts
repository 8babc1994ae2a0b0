/** `npm run leak`: whether the daemon's memory or file descriptors grow over 100,000 calls, in the guest. docs/reliability.md. */
import { runInGuest } from './in-guest.ts';
import { errorWords } from './words.ts';

const GUEST_LIMIT_S = 7200;

try {
  const argv = ['test/leak/main.ts', ...process.argv.slice(2)];
  process.exitCode = await runInGuest({ argv, host: false, timeoutS: GUEST_LIMIT_S });
} catch (error) {
  console.error(errorWords(error));
  process.exitCode = 69;
}

/** `npm run leak`: whether the daemon's memory or file descriptors grow over 100,000 calls, in the guest. docs/reliability.md. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ensurePackages, thisMachine } from '../guest/requirements.ts';
import { runProcess } from '../src/base/process.ts';
import { errorWords } from './words.ts';

const GUEST_LIMIT_S = '7200';

try {
  await ensurePackages(
    ['guest', 'fast-kernel', 'pool'],
    await thisMachine(runProcess, (line) => console.log(line)),
  );
  const inside = ['node', 'test/leak/main.ts', ...process.argv.slice(2)];
  const child = spawn(process.execPath, ['guest/run.ts', ...inside], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      UV_THREADPOOL_SIZE: '16',
      DMTHIN_GUEST_TIMEOUT: process.env['DMTHIN_GUEST_TIMEOUT'] ?? GUEST_LIMIT_S,
    },
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  process.exitCode = exitCode ?? 1;
} catch (error) {
  console.error(errorWords(error));
  process.exitCode = 69;
}

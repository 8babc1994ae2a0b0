/** Runs a program of the test tree where device-mapper is: in the guest, or with `host` right on this machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ensurePackages, thisMachine } from '../guest/requirements.ts';
import { runProcess } from '../src/base/process.ts';

export interface InGuest {
  readonly argv: readonly string[];
  readonly host: boolean;
  /** For a guest without DMTHIN_GUEST_TIMEOUT in the environment. */
  readonly timeoutS: number;
}

/** Its output goes where ours does. @returns its exit code; 1 when a signal ended it. */
export async function runInGuest({ argv, host, timeoutS }: InGuest): Promise<number> {
  await ensurePackages(
    ['guest', 'fast-kernel', 'pool'],
    await thisMachine(runProcess, (line) => console.log(line)),
  );
  const where = ['guest/run.ts', ...(host ? ['--host'] : [])];
  const child = spawn(process.execPath, [...where, 'node', ...argv], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      UV_THREADPOOL_SIZE: '16',
      DMTHIN_GUEST_TIMEOUT: process.env['DMTHIN_GUEST_TIMEOUT'] ?? String(Math.ceil(timeoutS)),
    },
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return exitCode ?? 1;
}

/** Processes, flushes and device-mapper ioctls that an operation costs, counted by strace. No machine changes them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '../e2e/harness/wait.ts';
import type { Counts, Operation, Target } from './rows.ts';
import type { BenchTarget } from './targets.ts';

export interface CountedRow extends Counts {
  readonly operation: Operation;
  readonly target: Target;
}

/** Calls of each operation: enough that what happens once, such as a garbage collection, shows as a fraction. */
const CALLS = 4;

/** @param pid the daemon that does the target's work. */
export async function countOperations(
  target: BenchTarget,
  pid: number,
  directory: string,
): Promise<CountedRow[]> {
  const rows: CountedRow[] = [];
  const count = async (
    operation: Operation,
    body: (index: number) => Promise<unknown>,
    atEnd?: () => Promise<void>,
  ): Promise<void> => {
    const trace = await traced(pid, join(directory, 'trace'), async () => {
      for (let index = 0; index < CALLS; index += 1) await body(index);
      await atEnd?.();
    });
    const { processes, fsyncs, ioctls } = parseTrace(trace);
    rows.push({
      operation,
      target: target.name,
      processes: processes / CALLS,
      fsyncs: fsyncs / CALLS,
      ioctls: ioctls / CALLS,
    });
  };
  await count('Prepare without parent', (index) => target.prepare(`e-${index}`, ''));
  await count('Prepare with parent', (index) => target.prepare(`p-${index}`, 'layer'));
  await count('View', (index) => target.view(`v-${index}`, 'layer'));
  const { stat, mounts } = target;
  if (stat !== undefined) await count('Stat', (index) => stat(`p-${index}`));
  if (mounts !== undefined) await count('Mounts', (index) => mounts(`p-${index}`));
  await count('Usage of an active snapshot', (index) => target.usage(`p-${index}`));
  await count('Commit', (index) => target.commit(`c-${index}`, `e-${index}`));
  await count('Remove', (index) => target.remove(`p-${index}`), target.settle);
  for (let index = 0; index < CALLS; index += 1) {
    await target.remove(`v-${index}`);
    await target.remove(`c-${index}`);
  }
  await target.settle();
  return rows;
}

/** Processes are programs started; flushes those of files and whole filesystems; ioctls those of device-mapper. Pure. */
export function parseTrace(trace: string): Counts {
  const calls = (pattern: RegExp): number => [...trace.matchAll(pattern)].length;
  return {
    processes: calls(/^\S+\s+(?:<\.\.\. )?execve(?:\(| resumed).* = 0$/gm),
    // An interrupted call is printed twice; its beginning counts.
    fsyncs: calls(/^\S+\s+(?:fsync|fdatasync|syncfs|sync|msync)\(/gm),
    ioctls: calls(/^\S+\s+ioctl\(\d+, DM_/gm),
  };
}

async function traced(pid: number, path: string, body: () => Promise<void>): Promise<string> {
  const child = spawn(
    'strace',
    ['-f', '-e', 'trace=execve,fsync,fdatasync,syncfs,sync,msync,ioctl', '-o', path, '-p', `${pid}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text));
  const exited = once(child, 'exit');
  await waitFor('strace has attached', 30_000, () => words.includes('attached'));
  await body();
  child.kill('SIGINT');
  await exited;
  return readFile(path, 'utf8');
}

/** Command lines of dmthin run in this process with the program's real dependencies: starting Node for each takes seconds in the guest. */
import assert from 'node:assert/strict';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { processDeps } from '../../src/cli/process-deps.ts';
import { runCli } from '../../src/cli/program.ts';

/** @returns standard output. */
export async function succeeds(...args: string[]): Promise<string> {
  const { code, out, err } = await dmthin(args);
  assert.equal(code, 0, err);
  return out;
}

/** Asserts the exit code and what is said on standard error. */
export async function fails(code: number, words: RegExp, ...args: string[]): Promise<void> {
  const run = await dmthin(args);
  assert.equal(run.code, code, run.out + run.err);
  assert.match(run.err, words);
}

async function dmthin(args: readonly string[]) {
  const lines = { out: [] as string[], err: [] as string[] };
  const terminal = {
    out: (text: string) => lines.out.push(text),
    err: (text: string) => lines.err.push(text),
    colour: false,
  };
  const code = await runCli(args, { ...processDeps(), terminal });
  return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
}

/** Loop devices on files below `directory`. */
export async function loopsBelow(directory: string): Promise<string[]> {
  const text = await runChecked(runProcess, 'losetup', [
    '--list',
    '--noheadings',
    '--output',
    'NAME,BACK-FILE',
  ]);
  return text
    .split('\n')
    .filter((line) => line.includes(directory))
    .map((line) => line.split(/\s+/)[0] ?? '');
}

export async function detachLoopsBelow(directory: string): Promise<void> {
  for (const device of await loopsBelow(directory))
    await runChecked(runProcess, 'losetup', ['--detach', device]);
}

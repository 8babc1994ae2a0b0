/**
 * `npm test`: everything there is, each part in a process of its own. Ends with a line `N passed, N failed`.
 *
 * Checks and unit tests run on this machine. Tests of the real kernel and of the real containerd run in two guests at
 * once, each of which has one processor; the second one's output is shown when the first one is done.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { styleText } from 'node:util';
import { ensurePackages, thisMachine } from '../guest/requirements.ts';
import { runProcess } from '../src/base/process.ts';
import { ensureImages } from '../test/images/ensure-images.ts';

interface Part {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Not a test runner: its exit code is its one test. */
  readonly isCheck?: boolean;
}

interface Result {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const GUEST_LIMIT_S = '1800';

const CHECKS: readonly Part[] = [
  { name: 'format', argv: ['prettier', '--check', '--log-level', 'warn', '.'], isCheck: true },
  { name: 'lint', argv: ['eslint', '--max-warnings', '0', '.'], isCheck: true },
  { name: 'types', argv: ['tsc', '--noEmit'], isCheck: true },
];
const UNIT: Part = {
  name: 'unit',
  argv: ['node', '--test', '--test-reporter=spec', 'test/unit/**/*.test.ts'],
};

/** Built where test/package looks for it. */
const PACKAGE: Part = {
  name: 'Debian package',
  argv: ['node', 'scripts/package.ts', '--arch', 'amd64', '--quick', '--out', '.cache/package'],
  isCheck: true,
};

function inGuest(name: string, files: readonly string[], memory: string): Part {
  const runner = ['node', '--test', '--test-reporter=spec', '--test-concurrency=1', ...files];
  return {
    name,
    argv: ['node', 'guest/run.ts', ...runner],
    env: {
      DMTHIN_GUEST_TIMEOUT: process.env['DMTHIN_GUEST_TIMEOUT'] ?? GUEST_LIMIT_S,
      DMTHIN_GUEST_MEM: memory,
    },
  };
}

const KERNEL = inGuest('real kernel', ['test/guest/*.test.ts'], '3G');
const CONTAINERD = inGuest('real containerd', ['test/package/*.test.ts', 'test/e2e/*.test.ts'], '4G');

function heading(text: string): void {
  console.log(styleText('bold', `\n--- ${text}`, { validateStream: true, stream: process.stdout }));
}

/** Runs a part; its output goes to `write` as it comes. */
async function run(part: Part, write: (text: string) => void): Promise<Result> {
  const startedAt = performance.now();
  const [file = '', ...args] = part.argv;
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '16', ...part.env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      write(text);
    });
  }
  const [exitCode] = (await once(child, 'close')) as [number | null];
  const result = part.isCheck === true ? checkResult(exitCode) : runnerResult(output, exitCode);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  write(`${part.name}: ${describe(result)} in ${seconds} s\n`);
  return result;
}

function checkResult(exitCode: number | null): Result {
  return exitCode === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

/** The runner's own counts. A part that ran no test, or ended badly without a failed test to show for it, has failed. */
function runnerResult(output: string, exitCode: number | null): Result {
  const count = (word: string): number =>
    [...output.matchAll(new RegExp(`^\\S* ?${word} (\\d+)$`, 'gm'))].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    );
  const passed = count('pass');
  const failed = count('fail') + count('cancelled');
  const bad = failed === 0 && (exitCode !== 0 || passed === 0);
  return { passed, failed: bad ? 1 : failed, skipped: count('skipped') };
}

function describe({ passed, failed, skipped }: Result): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

const say = (text: string): void => void process.stdout.write(text);

async function runShown(part: Part): Promise<Result> {
  heading(part.name);
  return run(part, say);
}

async function runAll(): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const part of [...CHECKS, UNIT]) results.push(await runShown(part));
  results.push(await runShown(PACKAGE));
  heading('test images');
  await ensureImages();
  // The second guest's output waits until the first one's has ended.
  let held = '';
  let write = (text: string): void => void (held += text);
  const containerd = run(CONTAINERD, (text) => write(text));
  results.push(await runShown(KERNEL));
  heading(CONTAINERD.name);
  write = say;
  say(held);
  results.push(await containerd);
  return results;
}

try {
  await ensurePackages(
    ['guest', 'fast-kernel', 'pool', 'package', 'containerd', 'images'],
    await thisMachine(runProcess, (line) => console.log(line)),
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(69);
}
const results = await runAll();
const total = results.reduce((sum, one) => ({
  passed: sum.passed + one.passed,
  failed: sum.failed + one.failed,
  skipped: sum.skipped + one.skipped,
}));
console.log(`\n${describe(total)}`);
process.exitCode = total.failed === 0 ? 0 : 1;

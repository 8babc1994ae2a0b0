/**
 * The benchmark itself, run where device-mapper is (scripts/bench.ts boots the guest for it). Prints what it does, and at the
 * end one line of JSON behind RESULT_MARK for the script that started it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../e2e/harness/run.ts';
import { accountForPrepare, measureProcessStart } from './account.ts';
import { countOperations, type CountedRow } from './counts.ts';
import { type GrowthFigure, type GrowthSize, measureGrowth } from './growth.ts';
import { pullDebian, rootFilesystems, stackLayers } from './images.ts';
import { processFacts } from './process-facts.ts';
import { type Part, type PartResult, RESULT_MARK } from './result.ts';
import { createRecorder, type Recorder } from './rows.ts';
import { manyCallers, measure, oneCaller, seed, unseed, warmUp } from './rounds.ts';
import { describeFigure } from './table.ts';
import { type Bench, openBench } from './targets.ts';

interface Size {
  readonly warmUp: number;
  readonly rounds: number;
  readonly calls: number;
  readonly together: number;
  readonly stacks: number;
  readonly pulls: number;
  readonly rootFilesystems: number;
}
const FULL: Size = {
  ...{ warmUp: 40, rounds: 5, calls: 12, together: 100 },
  ...{ stacks: 3, pulls: 3, rootFilesystems: 20 },
};
const QUICK: Size = {
  ...{ warmUp: 15, rounds: 2, calls: 8, together: 64 },
  ...{ stacks: 1, pulls: 1, rootFilesystems: 8 },
};
const CALLERS = 32;

async function timing(directory: string, size: Size): Promise<PartResult> {
  const recorder = createRecorder();
  await using bench = await openBench({ directory });
  for (const target of bench.targets) {
    await seed(target);
    say(`warming up: ${target.name}`);
    await warmUp(target, size.warmUp);
  }
  const roundSize = { ...size, callers: CALLERS };
  for (let round = 0; round < size.rounds; round += 1) {
    say(`round ${round + 1} of ${size.rounds}: one caller, then ${CALLERS}`);
    for (const target of bench.targets) await oneCaller(target, roundSize, round, recorder);
    for (const target of bench.targets.filter(({ name }) => name !== 'floor')) {
      await manyCallers(target, roundSize, round, recorder);
    }
  }
  for (let round = 0; round < size.stacks; round += 1) {
    say(`layers on top of each other: ${round + 1} of ${size.stacks}`);
    for (const target of bench.targets) await stackLayers(target, round, recorder);
  }
  for (let round = 0; round < size.stacks; round += 1) {
    say(`root filesystems: ${round + 1} of ${size.stacks}`);
    for (const target of bench.targets) await rootFilesystems(target, size.rootFilesystems, round, recorder);
  }
  say('pulling Debian');
  await pullDebian(bench, directory, size.pulls, recorder);
  const daemons = {
    containerd: await processFacts(bench.containerd.pids[0]),
    dmthin: await processFacts(bench.dmthin.pids[0]),
  };
  for (const target of bench.targets) await unseed(target);
  return { series: recorder.all, daemons };
}

/** A daemon of its own, since it is a setting of the daemon. */
async function asyncRemove(directory: string, size: Size): Promise<PartResult> {
  const recorder = createRecorder();
  await using bench = await openBench({
    directory,
    asyncRemove: true,
    only: ['builtin', 'dmthin', 'direct'],
  });
  for (const target of bench.targets) {
    await seed(target);
    await warmUp(target, size.warmUp);
  }
  for (let round = 0; round < size.rounds; round += 1) {
    say(`async_remove: round ${round + 1} of ${size.rounds}`);
    for (const target of bench.targets) await removeLater(target, size.calls, round, recorder);
  }
  for (const target of bench.targets) await unseed(target);
  return { series: recorder.all };
}

async function removeLater(
  target: Bench['targets'][number],
  calls: number,
  round: number,
  recorder: Recorder,
): Promise<void> {
  const indexes = Array.from({ length: calls }, (_, index) => index);
  const key = (index: number): string => `a-${round}-${index}`;
  for (const index of indexes) await target.prepare(key(index), 'layer');
  await measure(recorder, 'Remove, async_remove', target, indexes, 1, (index) => target.remove(key(index)));
  await target.settle();
}

async function counting(directory: string): Promise<PartResult> {
  await using bench = await openBench({ directory, only: ['builtin', 'direct'] });
  const counts: CountedRow[] = [];
  for (const target of bench.targets) {
    await seed(target);
    say(`counting with strace: ${target.name}`);
    const [pid] = target.name === 'builtin' ? bench.containerd.pids : bench.direct.pids;
    if (pid === undefined) throw new Error(`${target.name} does not run`);
    counts.push(...(await countOperations(target, pid, directory)));
    await unseed(target);
  }
  return { series: [], counts };
}

const GROWTH: GrowthSize = {
  snapshots: [100, 1000, 10_000],
  chains: [1, 16, 128],
  callers: [1, 8, 32, 128],
  calls: 30,
};
const QUICK_GROWTH: GrowthSize = { snapshots: [50, 200], chains: [1, 16], callers: [1, 32], calls: 10 };

async function growing(growthSize: GrowthSize): Promise<PartResult> {
  const growth: GrowthFigure[] = [];
  const report = (figure: GrowthFigure): void => {
    growth.push(figure);
    say(describeFigure(figure));
  };
  await measureGrowth(growthSize, report);
  await accountForPrepare(report);
  await measureProcessStart(report);
  return { series: [], growth };
}

function say(words: string): void {
  console.log(words);
}

const { values } = parseArgs({
  options: { part: { type: 'string', default: 'timing' }, quick: { type: 'boolean', default: false } },
});
const size = values.quick ? QUICK : FULL;
const PARTS: Readonly<Record<Part, (directory: string) => Promise<PartResult>>> = {
  timing: (directory) => timing(directory, size),
  'async-remove': (directory) => asyncRemove(directory, size),
  counting,
  growth: () => growing(values.quick ? QUICK_GROWTH : GROWTH),
};
const part = Object.entries(PARTS).find(([name]) => name === values.part)?.[1];
if (part === undefined) throw new Error(`--part is one of ${Object.keys(PARTS).join(', ')}`);
const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'bench-'));
try {
  const result = await part(directory);
  const machine = { kernel: release(), cpus: cpus().length };
  console.log(RESULT_MARK + JSON.stringify({ ...result, ...machine, containerd: await containerdVersion() }));
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function containerdVersion(): Promise<string> {
  return (await run(['containerd', '--version'])).trim().split(' ')[2] ?? '';
}

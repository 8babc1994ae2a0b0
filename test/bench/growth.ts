/**
 * How cost grows with the number of snapshots, the length of a chain and the number of callers. The daemon runs in this
 * process, so that its event loop can be watched; client and all, so that figure is an upper bound. For its start and its
 * memory it runs as what it is.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/grpc/client.ts';
import { DMTHIN } from '../e2e/harness/pool.ts';
import { startProgram } from '../e2e/harness/program.ts';
import { accepts } from '../e2e/harness/sockets.ts';
import { createNode, MiB, type Serving, type TestNode } from '../guest/node.ts';
import { processFacts } from './process-facts.ts';
import { percentile } from './rows.ts';

export interface GrowthFigure {
  readonly what: string;
  /** How many of it there were, or which part of it. */
  readonly at: number | string;
  readonly value: number;
  readonly unit: 'ms' | '/s' | 'MiB';
}

/** The figure that scripts/bench.ts takes the cost of a process start from. */
export const PROCESS_START = 'one process:';

export interface GrowthSize {
  readonly snapshots: readonly number[];
  readonly chains: readonly number[];
  readonly callers: readonly number[];
  readonly calls: number;
}

type Report = (figure: GrowthFigure) => void;

export async function measureGrowth(size: GrowthSize, report: Report): Promise<void> {
  await using node = await createNode({ dataBytes: 8192 * MiB, metadataBytes: 128 * MiB });
  await startProgramWith(node, 0, report);
  await using first = new AsyncDisposableStack();
  const serving = first.use(await node.serve());
  await serving.client.prepare('seed', '');
  await serving.client.commit('layer', 'seed');
  await chains(serving, size, report);
  await callers(serving, size, report);
  await populations(serving, size, report);
  await first.disposeAsync();
  await startProgramWith(node, Math.max(...size.snapshots), report);
}

async function chains(
  { client }: Serving,
  { chains: lengths, calls }: GrowthSize,
  report: Report,
): Promise<void> {
  let parent = 'layer';
  let length = 1;
  for (const wanted of lengths) {
    for (; length < wanted; length += 1) {
      await client.prepare('growing', parent);
      await client.commit(`chain-${length}`, 'growing');
      parent = `chain-${length}`;
    }
    const times = await timed(calls, (index) => client.prepare(`on-${wanted}-${index}`, parent));
    report({ what: 'Prepare on a chain of', at: wanted, value: percentile(times, 0.5), unit: 'ms' });
    for (let index = 0; index < calls; index += 1) await client.remove(`on-${wanted}-${index}`);
  }
}

async function callers({ client }: Serving, { callers: numbers }: GrowthSize, report: Report): Promise<void> {
  for (const number of numbers) {
    const keys = Array.from({ length: Math.max(64, number) }, (_, index) => `by-${number}-${index}`);
    for (const [what, body] of [
      ['Prepare, callers', (key: string) => client.prepare(key, 'layer')],
      ['Remove, callers', (key: string) => client.remove(key)],
    ] as const) {
      const startedAt = performance.now();
      await byCallers(number, keys, body);
      const perSecond = (keys.length * 1000) / (performance.now() - startedAt);
      report({ what, at: number, value: perSecond, unit: '/s' });
    }
  }
}

/** Snapshots that stay are committed: of those a node has thousands, and their devices are inactive. */
async function populations(
  { client }: Serving,
  { snapshots, calls }: GrowthSize,
  report: Report,
): Promise<void> {
  let made = 0;
  for (const wanted of snapshots) {
    const missing = Array.from({ length: wanted - made }, (_, index) => `many-${made + index}`);
    using delays = watchEventLoop();
    await byCallers(32, missing, async (key) => {
      await client.prepare(`${key}-active`, 'layer');
      await client.commit(key, `${key}-active`);
    });
    made = wanted;
    report({
      what: 'event loop blocked at most, while 32 callers make',
      at: wanted,
      value: delays.maxMs(),
      unit: 'ms',
    });
    const p50 = async (what: string, body: (index: number) => Promise<unknown>): Promise<void> => {
      report({ what, at: wanted, value: percentile(await timed(calls, body), 0.5), unit: 'ms' });
    };
    const key = (index: number): string => `one-${wanted}-${index}`;
    await p50('Prepare, snapshots', (index) => client.prepare(key(index), 'layer'));
    await p50('Stat, snapshots', (index) => client.stat(key(index)));
    await p50('Usage, snapshots', (index) => client.usage(key(index)));
    await p50('Remove, snapshots', (index) => client.remove(key(index)));
    const lists = await timed(3, async () => {
      let listed = 0;
      for await (const page of client.list()) listed += page.length;
      if (listed < wanted) throw new Error(`${listed} of ${wanted} snapshots listed`);
    });
    report({ what: 'List of', at: wanted, value: percentile(lists, 0.5), unit: 'ms' });
  }
}

/** The program itself, from its start until its socket answers; then what it takes to serve that many. */
async function startProgramWith(node: TestNode, snapshots: number, report: Report): Promise<void> {
  const { rootPath, poolName, address } = node.config();
  const config = join(node.directory, 'dmthin.toml');
  const settings = { root_path: rootPath, pool_name: poolName, base_image_size: '64MB', address };
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  await writeFile(config, lines.join(''));
  const startedAt = performance.now();
  let answeredAt = startedAt;
  await using program = await startProgram({
    argv: [DMTHIN, 'serve', '--config', config],
    logPath: join(node.directory, 'dmthin.log'),
    isReady: async () => {
      while (!(await accepts({ path: address }))) await sleep(2);
      answeredAt = performance.now();
      return true;
    },
  });
  report({
    what: 'start until the socket answers, with',
    at: snapshots,
    value: answeredAt - startedAt,
    unit: 'ms',
  });
  const client = await connect(address);
  try {
    for (let index = 0; index < 3; index += 1) await Array.fromAsync(client.list());
    const keys = Array.from({ length: 320 }, (_, index) => `last-${snapshots}-${index}`);
    await byCallers(32, keys, (key) => client.prepare(key, ''));
    await byCallers(32, keys, (key) => client.remove(key));
  } finally {
    client.close();
  }
  const { peakRssMiB } = await processFacts(program.pid);
  report({ what: 'the daemon resident at most, with', at: snapshots, value: peakRssMiB, unit: 'MiB' });
}

async function timed(calls: number, body: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < calls; index += 1) {
    const startedAt = performance.now();
    await body(index);
    times.push(performance.now() - startedAt);
  }
  return times;
}

async function byCallers(
  number: number,
  keys: readonly string[],
  body: (key: string) => Promise<unknown>,
): Promise<void> {
  const queue = [...keys];
  await Promise.all(
    Array.from({ length: number }, async () => {
      for (let key = queue.shift(); key !== undefined; key = queue.shift()) await body(key);
    }),
  );
}

function watchEventLoop(): Disposable & { maxMs(): number } {
  const resolutionMs = 5;
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return {
    // It times its own timer, whose pause is no delay.
    maxMs: () => Math.max(0, histogram.max / 1e6 - resolutionMs),
    [Symbol.dispose]: () => void histogram.disable(),
  };
}

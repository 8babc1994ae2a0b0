/** Where the time of one Prepare goes: the moments at which its transactions and device steps begin and end. */
import { run } from '../e2e/harness/run.ts';
import { createNode, MiB } from '../guest/node.ts';
import { type GrowthFigure, PROCESS_START } from './growth.ts';
import { percentile } from './rows.ts';

const WARM_UP = 100;
const CALLS = 200;

/** Each part from one moment to another of the same call; `called` and `answered` are the client's. */
const PARTS: readonly (readonly [what: string, from: string, to: string])[] = [
  ['in all', 'called', 'answered'],
  ['call arrives, checks', 'called', 'before Prepare: intent'],
  ['intent durable', 'before Prepare: intent', 'after Prepare: intent'],
  ['wait for the look at the pool', 'after Prepare: intent', 'before create-snap'],
  ['create_snap, status', 'before create-snap', 'after create-snap'],
  ['create, load, resume', 'before activate', 'after activate'],
  ['record active durable, meanwhile', 'before Prepare: active', 'after Prepare: active'],
  ['answer arrives', 'last', 'answered'],
];

/** Medians, of a daemon in this process, so that client and daemon share a clock. */
export async function accountForPrepare(report: (figure: GrowthFigure) => void): Promise<void> {
  await using node = await createNode({ dataBytes: 1024 * MiB, metadataBytes: 32 * MiB });
  let moments = new Map<string, number>();
  const note = (point: string): void => void moments.set(point, performance.now());
  await using serving = await node.serve({}, { onStep: note, onTransaction: note });
  const { client } = serving;
  await client.prepare('seed', '');
  await client.commit('layer', 'seed');
  const calls: Map<string, number>[] = [];
  for (let index = 0; index < WARM_UP + CALLS; index += 1) {
    moments = new Map();
    note('called');
    await client.prepare(`account-${index}`, 'layer');
    const last = Math.max(...moments.values());
    note('answered');
    calls.push(moments.set('last', last));
    await client.remove(`account-${index}`);
  }
  for (const [what, from, to] of PARTS) {
    const times = calls.slice(WARM_UP).map((call) => (call.get(to) ?? NaN) - (call.get(from) ?? NaN));
    report({ what: 'Prepare:', at: what, value: percentile(times, 0.5), unit: 'ms' });
  }
}

const STARTS = 100;

/** What a process start costs: all that the built-in snapshotter would save without its own. */
export async function measureProcessStart(report: (figure: GrowthFigure) => void): Promise<void> {
  const startedAt = performance.now();
  await run(['sh', '-c', `i=0; while [ $i -lt ${STARTS} ]; do dmsetup version >/dev/null; i=$((i+1)); done`]);
  const value = (performance.now() - startedAt) / STARTS;
  report({ what: PROCESS_START, at: 'dmsetup version', value, unit: 'ms' });
}

/** Records a workload, then cuts the power at every point of it, or at some of them. */
import { tmpdir } from 'node:os';
import { silentLog } from '../../src/base/log.ts';
import { runProcess } from '../../src/base/process.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { allWords } from '../workload/callers.ts';
import { createRandom, type Random } from '../workload/random.ts';
import { type Cut, planCuts } from './cuts.ts';
import { createReplayDisk } from './disk.ts';
import { recordInOrder } from './in-order.ts';
import { DISK_BYTES } from './machine.ts';
import { BEGIN } from './record.ts';
import { verify } from './verify.ts';

export interface PowerCutOptions {
  readonly seed: number;
  /** Acknowledged operations of the workload. */
  readonly operations: number;
  /** States with some unflushed writes kept, for each flush. */
  readonly between: number;
  /** How many states are checked, spread over all; undefined: all. */
  readonly states: number | undefined;
  /** Ends with the first state that is not as it must be. */
  readonly stopAtFirst: boolean;
  readonly say: (line: string) => void;
}

export interface PowerCutResult {
  readonly acknowledged: number;
  readonly checked: Readonly<Record<Cut['kind'], number>>;
  readonly failed: number;
  readonly problems: readonly string[];
}

const TELL_EVERY = 50;

export async function powerCut(options: PowerCutOptions): Promise<PowerCutResult> {
  const { seed, operations, between, states, stopAtFirst, say } = options;
  const random = createRandom(seed);
  await using stack = new AsyncDisposableStack();
  const dm = await openDmClient('ioctl', { run: runProcess, log: silentLog });
  stack.defer(() => dm.close());
  const { log, logPath, history, acknowledged } = stack.use(
    await recordInOrder(dm, random.fork('work'), operations, say),
  );
  const marks = new Map(log.flatMap((entry, at) => (entry.kind === 'mark' ? [[entry.name, at]] : [])));
  const positionOf = (mark: string): number => {
    const position = marks.get(mark);
    if (position === undefined) throw new Error(`the log has no mark ${mark}: its device was full`);
    return position;
  };
  const from = positionOf(BEGIN);
  const all = planCuts(log, from, between, random.fork('cuts'));
  const cuts = states === undefined ? all : choose(all, states, random.fork('choice'));
  say(
    `${acknowledged} operations acknowledged, ${log.length - from} entries logged, ${cuts.length} of ${all.length} crash states are checked`,
  );

  const disk = stack.use(
    await createReplayDisk({ dm, log, logPath, diskBytes: DISK_BYTES, directory: tmpdir() }),
  );
  async function problemsAt(cut: Cut): Promise<string[]> {
    await using state = await disk.at(cut);
    try {
      const expected = history.expectedWhen((mark) => positionOf(`${mark}`) < cut.durable);
      return await verify(dm, state.device, expected);
    } catch (error) {
      return [allWords(error)];
    }
  }

  const checked = { flush: 0, fua: 0, between: 0 };
  const problems: string[] = [];
  let [count, failed] = [0, 0];
  for (const cut of cuts) {
    const found = await problemsAt(cut);
    checked[cut.kind] += 1;
    count += 1;
    if (found.length > 0) {
      failed += 1;
      const words = `power cut ${PLACES[cut.kind]}, before entry ${cut.durable} of the log: ${found.join('\n')}`;
      problems.push(words);
      say(words);
      if (stopAtFirst) break;
    }
    if (count % TELL_EVERY === 0) say(`${count} of ${cuts.length} crash states checked, ${failed} failed`);
  }
  return { acknowledged, checked, failed, problems };
}

const PLACES = { flush: 'at a flush', fua: 'at a FUA', between: 'between flushes' } as const;

export function figuresOf({ checked, acknowledged }: PowerCutResult): string {
  const { flush, fua, between } = checked;
  return `${flush + fua + between} crash states (${flush} ${PLACES.flush}, ${fua} ${PLACES.fua}, ${between} ${PLACES.between}), ${acknowledged} operations acknowledged`;
}

/** One out of each of `count` equal stretches. */
function choose(cuts: readonly Cut[], count: number, random: Random): Cut[] {
  const stretch = Math.max(1, cuts.length / count);
  return Array.from({ length: Math.min(count, cuts.length) }, (_, index) => {
    const [first, end] = [Math.floor(index * stretch), Math.floor((index + 1) * stretch)];
    return cuts.slice(first, end)[random.below(end - first)];
  }).filter((cut) => cut !== undefined);
}

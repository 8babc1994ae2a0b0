/** The operations, one round of them on one target. Rounds of the targets alternate, so that noise meets all alike. */
import type { Operation, Recorder } from './rows.ts';
import type { BenchTarget } from './targets.ts';

export interface RoundSize {
  /** Calls of each operation by one caller. */
  readonly calls: number;
  /** Calls by all callers at once. */
  readonly together: number;
  readonly callers: number;
}

/** What every round needs of a target: one committed snapshot without contents of its own. */
export async function seed(target: BenchTarget): Promise<void> {
  await target.prepare('seed', '');
  await target.commit('layer', 'seed');
}

export async function unseed(target: BenchTarget): Promise<void> {
  await target.remove('layer');
  await target.settle();
}

/** Calls until the code on every side has been compiled, unmeasured. */
export async function warmUp(target: BenchTarget, calls: number): Promise<void> {
  for (let index = 0; index < calls; index += 1) {
    await target.prepare(`warm-${index}`, 'layer');
    await target.usage(`warm-${index}`);
    await target.remove(`warm-${index}`);
  }
  await target.settle();
}

export async function oneCaller(
  target: BenchTarget,
  { calls }: RoundSize,
  round: number,
  recorder: Recorder,
): Promise<void> {
  const key = (kind: string, index: number): string => `${kind}-${round}-${index}`;
  const each = (operation: Operation, body: (index: number) => Promise<unknown>): Promise<void> =>
    measure(
      recorder,
      operation,
      target,
      Array.from({ length: calls }, (_, index) => index),
      1,
      body,
    );
  await each('Prepare without parent', (index) => target.prepare(key('e', index), ''));
  await each('Prepare with parent', (index) => target.prepare(key('p', index), 'layer'));
  await each('View', (index) => target.view(key('v', index), 'layer'));
  const { stat, mounts } = target;
  if (stat !== undefined) await each('Stat', (index) => stat(key('p', index)));
  if (mounts !== undefined) await each('Mounts', (index) => mounts(key('p', index)));
  await each('Usage of an active snapshot', (index) => target.usage(key('p', index)));
  await each('Commit', (index) => target.commit(key('c', index), key('e', index)));
  await removeAll(
    recorder,
    target,
    Array.from({ length: calls }, (_, index) => key('p', index)),
    1,
  );
  for (let index = 0; index < calls; index += 1) {
    await target.remove(key('v', index));
    await target.remove(key('c', index));
  }
  await target.settle();
}

export async function manyCallers(
  target: BenchTarget,
  { together, callers }: RoundSize,
  round: number,
  recorder: Recorder,
): Promise<void> {
  const indexes = Array.from({ length: together }, (_, index) => index);
  const key = (index: number): string => `m-${round}-${index}`;
  await measure(recorder, 'Prepare with parent', target, indexes, callers, (index) =>
    target.prepare(key(index), 'layer'),
  );
  await removeAll(recorder, target, indexes.map(key), callers);
}

/** Through containerd the removals share one collection, so that a call's time is a share of all. */
async function removeAll(
  recorder: Recorder,
  target: BenchTarget,
  keys: readonly string[],
  callers: number,
): Promise<void> {
  if (!target.removesByCollection) {
    await measure(recorder, 'Remove', target, keys, callers, (key) => target.remove(key));
    return;
  }
  const { times, perCall } = recorder.series('Remove', target.name, callers);
  const startedAt = performance.now();
  for (const key of keys) await target.remove(key);
  await target.settle();
  const share = (performance.now() - startedAt) / keys.length;
  times.push(...keys.map(() => share));
  perCall.push(share);
}

/** Calls `body` for each of `items`, by so many callers at once, and records each call and the wall time of all. */
export async function measure<T>(
  recorder: Recorder,
  operation: Operation,
  target: Pick<BenchTarget, 'name'>,
  items: readonly T[],
  callers: number,
  body: (item: T) => Promise<unknown>,
): Promise<void> {
  const { times, perCall } = recorder.series(operation, target.name, callers);
  const queue = [...items];
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
        const callAt = performance.now();
        await body(item);
        times.push(performance.now() - callAt);
      }
    }),
  );
  perCall.push((performance.now() - startedAt) / items.length);
}

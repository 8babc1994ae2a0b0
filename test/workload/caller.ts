/**
 * One caller: asks for one operation after another, chosen at random, on keys of its own and on layers of everybody's.
 * What the daemon answers is held against the model; what it does not answer any more stays in doubt.
 */
import { hasCode, type ErrorCode } from '../../src/base/errors.ts';
import type { SnapshotsClient } from '../../src/grpc/client.ts';
import { afterChanges, applyChanges, chooseChanges, differenceOf, readFiles } from './files.ts';
import type { Change, Expected, Model } from './model.ts';
import { withMount } from './mount-calls.ts';
import type { Random } from './random.ts';

export interface Workload {
  readonly client: SnapshotsClient;
  readonly model: Model;
  /** Part of the names of layers that are made now, another for each workload on one model. */
  readonly era: number;
  /** True once the callers shall end: then an error may just mean that nobody answers any more. */
  readonly ending: () => boolean;
  /** Called before each operation. */
  readonly onAsk: () => void;
  /** Called after each answer that is no error; the caller goes on when it has ended. */
  readonly onAcknowledged: () => Promise<void> | void;
  /** In the same way after files were written. */
  readonly onWritten: () => Promise<void> | void;
  /** How many active snapshots or views, and how many layers, a caller has at most. */
  readonly slots: number;
}

/** Ends when the workload does. @throws Error when an answer does not fit what was acknowledged before. */
export async function runCaller(name: string, random: Random, workload: Workload): Promise<void> {
  const caller = createCaller(name, random, workload);
  while (!workload.ending()) {
    try {
      await caller.act();
    } catch (error) {
      if (workload.ending() && hasCode(error, ...LOST)) return;
      throw error;
    }
  }
}

/** What a client says when the daemon has died. */
const LOST: readonly ErrorCode[] = ['unavailable', 'cancelled', 'internal'];

function createCaller(name: string, random: Random, workload: Workload): { act(): Promise<void> } {
  const { client, model, era, slots } = workload;

  async function acknowledged<T>(action: Promise<T>): Promise<T> {
    const answer = await action;
    await workload.onAcknowledged();
    return answer;
  }

  /** @returns undefined when it was refused with one of `allowed`. */
  async function change<T>(what: Change, action: () => Promise<T>, allowed: readonly ErrorCode[] = []) {
    workload.onAsk();
    const asked = model.ask(what);
    try {
      const answer = await action();
      asked.acknowledged();
      await workload.onAcknowledged();
      return { answer };
    } catch (error) {
      if (!workload.ending()) asked.refused();
      if (hasCode(error, ...allowed)) return undefined;
      throw error;
    }
  }

  // Keys of active snapshots come again; names of layers do not, since others name them at any moment.
  const actives = [...Array(slots).keys()].map((slot) => `${name}/active/${slot}`);
  let layerCount = 0;
  const myActives = (): string[] => actives.filter((key) => model.snapshots.has(key));
  const myLayers = (): string[] =>
    [...model.snapshots.keys()].filter((key) => key.startsWith(`${name}/layer/`));
  const layers = (): string[] =>
    [...model.snapshots].filter(([, { kind }]) => kind === 'committed').map(([key]) => key);
  const labels = (): Record<string, string> =>
    random.percent(50) ? { 'test/label': `${random.below(1000)}` } : {};

  async function create(kind: 'active' | 'view'): Promise<void> {
    const key = random.pick(actives.filter((one) => !model.snapshots.has(one)));
    const parent = random.percent(kind === 'view' ? 0 : 20) ? '' : (random.pick(layers()) ?? '');
    if (key === undefined || (kind === 'view' && parent === '')) return;
    const from = model.snapshots.get(parent);
    const made: Expected = { kind, parent, labels: labels(), files: from?.files ?? new Map() };
    // The parent's owner may remove it meanwhile.
    const done = await change(
      new Map([[key, made]]),
      () =>
        kind === 'view' ? client.view(key, parent, made.labels) : client.prepare(key, parent, made.labels),
      ['not_found'],
    );
    if (done === undefined) return;
    if (kind === 'active' && random.percent(70)) await write(key);
    else if (random.percent(30)) await compare(key, done.answer);
  }

  async function write(key: string): Promise<void> {
    const expected = model.snapshots.get(key);
    if (expected?.kind !== 'active') return;
    const mounts = await acknowledged(client.mounts(key));
    await withMount(mounts, async (root) => {
      const changes = chooseChanges(expected.files, random);
      const sync = random.percent(50);
      const written = model.writes(key, changes.keys());
      await applyChanges(root, changes, sync);
      written.done(afterChanges(expected.files, changes), sync);
      await workload.onWritten();
      // As a client would that commits without unmounting, and then goes on with the next one.
      if (random.percent(50)) {
        await commit(key);
        await list();
        await create('active');
      }
    });
  }

  async function compare(key: string, mounts: Awaited<ReturnType<SnapshotsClient['mounts']>>): Promise<void> {
    const expected = model.snapshots.get(key);
    if (expected === undefined) return;
    const difference = differenceOf(expected.files, await withMount(mounts, readFiles));
    if (difference !== undefined) throw new Error(`${key}: ${difference}`);
  }

  async function commit(key: string): Promise<void> {
    const expected = model.snapshots.get(key);
    if (expected?.kind !== 'active' || myLayers().length >= slots) return;
    layerCount += 1;
    const layer = `${name}/layer/${era}-${layerCount}`;
    const committed: Expected = { ...expected, kind: 'committed', labels: labels() };
    await change(
      new Map([
        [key, undefined],
        [layer, committed],
      ]),
      () => client.commit(layer, key, committed.labels),
    );
  }

  async function remove(key: string): Promise<void> {
    // Whether it has children only the daemon can tell: others make them at this moment.
    await change(new Map([[key, undefined]]), () => client.remove(key), ['failed_precondition']);
  }

  async function relabel(key: string): Promise<void> {
    const expected = model.snapshots.get(key);
    if (expected === undefined) return;
    const changed = { ...expected, labels: { ...expected.labels, 'test/updated': `${random.below(1000)}` } };
    await change(new Map([[key, changed]]), () =>
      client.update(key, { kind: 'replace', labels: changed.labels }),
    );
  }

  async function ask(key: string): Promise<void> {
    workload.onAsk();
    const expected = model.snapshots.get(key);
    const info = await acknowledged(client.stat(key));
    if (info.kind !== expected?.kind || info.parent !== expected.parent)
      throw new Error(`Stat ${key}: ${JSON.stringify(info)} instead of ${JSON.stringify(expected)}`);
    await acknowledged(client.usage(key));
  }

  async function list(): Promise<void> {
    workload.onAsk();
    const names = new Set<string>();
    const before = myLayers();
    for await (const page of client.list()) for (const info of page) names.add(info.name);
    await workload.onAcknowledged();
    for (const key of before) if (!names.has(key)) throw new Error(`List does not have ${key}`);
  }

  async function act(): Promise<void> {
    const [active, layer] = [random.pick(myActives()), random.pick(myLayers())];
    const any = active ?? layer;
    const dice = random.below(100);
    if (dice < 30 || any === undefined) return create('active');
    if (dice < 40) return create('view');
    if (dice < 50 && active !== undefined) return write(active);
    if (dice < 65 && active !== undefined) return commit(active);
    if (dice < 75 && active !== undefined) return remove(active);
    if (dice < 83 && layer !== undefined) return remove(layer);
    if (dice < 90) return relabel(any);
    if (dice < 95) return ask(any);
    if (dice < 98) return list();
    workload.onAsk();
    await acknowledged(client.cleanup());
  }

  return { act };
}

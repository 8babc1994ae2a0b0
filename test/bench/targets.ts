/** The snapshotters that are measured side by side, on pools of the same geometry, in one containerd. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { bytes, dmName } from '../../src/base/units.ts';
import { connect, type SnapshotsClient } from '../../src/grpc/client.ts';
import type { Mount } from '../../src/snapshotter/snapshotter.ts';
import { collectGarbage } from '../e2e/harness/collect-garbage.ts';
import { type Containerd, containerdAt } from '../e2e/harness/containerd.ts';
import { createPool } from '../e2e/harness/pool.ts';
import {
  type Implementation,
  type SnapshotterUnderTest,
  snapshotterUnderTest,
} from '../e2e/harness/snapshotter.ts';
import { openFloor } from './floor.ts';
import type { Target } from './rows.ts';

/** A snapshotter as the benchmark calls it; what a target cannot do is absent. */
export interface BenchTarget {
  readonly name: Target;
  prepare(key: string, parent: string): Promise<unknown>;
  view(key: string, parent: string): Promise<unknown>;
  commit(name: string, key: string): Promise<void>;
  /** Through containerd only the name: its garbage collection removes the snapshot itself, see `settle`. */
  remove(key: string): Promise<void>;
  readonly removesByCollection: boolean;
  /** Everything removed so far is gone from the pool. */
  readonly settle: () => Promise<void>;
  usage(key: string): Promise<unknown>;
  readonly stat?: (key: string) => Promise<unknown>;
  readonly mounts?: (key: string) => Promise<readonly Mount[]>;
  close(): Promise<void>;
}

export interface Bench extends AsyncDisposable {
  readonly targets: readonly BenchTarget[];
  readonly containerd: Containerd;
  /** The one that containerd uses, and the one that is asked directly. */
  readonly dmthin: SnapshotterUnderTest;
  readonly direct: SnapshotterUnderTest;
}

export interface BenchOptions {
  /** On a real filesystem: the stores' flushes are part of what is measured. */
  readonly directory: string;
  readonly asyncRemove?: boolean;
  readonly only?: readonly Target[];
}

/** The Debian image has to fit. */
const SIZE = '512MB';
const SIZE_BYTES = bytes(512 * 1024 ** 2);
/** Else containerd's garbage collection, which nobody asks for here, could take them. */
const KEEP = { 'containerd.io/gc.root': 'bench' };

export async function openBench(options: BenchOptions): Promise<Bench> {
  const { directory, asyncRemove = false, only } = options;
  await using stack = new AsyncDisposableStack();
  const suffix = `${process.pid}`;
  const poolOf = async (name: string): Promise<string> =>
    stack.use(await createPool(`bench-${name}-${suffix}`, join(directory, `pool-${name}`), '2G')).name;
  const variant = { baseImageSize: SIZE, asyncRemove };
  const snapshotter = async (implementation: Implementation, name: Target): Promise<SnapshotterUnderTest> => {
    const own = join(directory, name);
    await mkdir(own, { recursive: true });
    const opened = stack.use(
      snapshotterUnderTest(implementation, { directory: own, poolName: await poolOf(name), variant }),
    );
    await opened.start();
    return opened;
  };
  const builtin = await snapshotter('builtin', 'builtin');
  const dmthin = await snapshotter('dmthin', 'dmthin');
  // A daemon of its own: containerd's collections remove whatever containerd does not know.
  const direct = await snapshotter('dmthin', 'direct');
  const containerd = stack.use(
    containerdAt(join(directory, 'containerd'), builtin.containerdConfig + dmthin.containerdConfig),
  );
  await containerd.start();
  const through = (snapshotter: string) =>
    connect(containerd.address, { snapshotter, headers: { 'containerd-namespace': 'bench' } });
  const collect = (): Promise<void> => collectGarbage(containerd.address);
  const opened: BenchTarget[] = [
    asTarget('builtin', await through(builtin.name), collect),
    asTarget('dmthin', await through(dmthin.name), collect),
    asTarget('direct', await connect(direct.address), () => Promise.resolve()),
    await openFloor({
      poolName: dmName(await poolOf('floor')),
      sizeBytes: SIZE_BYTES,
      directory,
    }),
  ];
  for (const target of opened) stack.defer(() => target.close());
  const running = stack.move();
  return {
    targets: opened.filter(({ name }) => only?.includes(name) ?? true),
    containerd,
    dmthin,
    direct,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function asTarget(name: Target, client: SnapshotsClient, settle: () => Promise<void>): BenchTarget {
  return {
    name,
    prepare: (key, parent) => client.prepare(`${name}-${key}`, parent && `${name}-${parent}`, KEEP),
    view: (key, parent) => client.view(`${name}-${key}`, `${name}-${parent}`, KEEP),
    commit: (committed, key) => client.commit(`${name}-${committed}`, `${name}-${key}`, KEEP),
    remove: (key) => client.remove(`${name}-${key}`),
    usage: (key) => client.usage(`${name}-${key}`),
    removesByCollection: name !== 'direct',
    settle,
    stat: (key) => client.stat(`${name}-${key}`),
    mounts: (key) => client.mounts(`${name}-${key}`),
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}

/** A crash at every point of every operation, in memory: found by recording one undisturbed run, so none can be forgotten. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dmName } from '../../../src/base/units.ts';
import { DaemonCrash } from '../../fakes/dm-client.ts';
import { activeDevices, createWorld, POOL, type Running, type StartOptions, type World } from './harness.ts';

interface Scenario {
  readonly name: string;
  readonly options?: StartOptions;
  /** The settings after the crash, where they have changed. */
  readonly optionsAfter?: StartOptions;
  readonly before: (running: Running) => Promise<void>;
  readonly operation: (running: Running) => Promise<unknown>;
  /** True when callers must see the operation done after the restart, false when not. */
  readonly done: (running: Running) => Promise<boolean>;
}

async function exists(running: Running, key: string): Promise<boolean> {
  try {
    await running.snapshotter.stat(key);
    return true;
  } catch {
    return false;
  }
}

async function withLayer({ snapshotter }: Running): Promise<void> {
  await snapshotter.prepare('l', '', {});
  await snapshotter.commit('layer', 'l', {}, undefined);
}

async function withActive(running: Running): Promise<void> {
  await withLayer(running);
  await running.snapshotter.prepare('a', 'layer', {});
}

const scenarios: readonly Scenario[] = [
  {
    name: 'prepare without parent, base device included',
    before: async () => undefined,
    operation: ({ snapshotter }) => snapshotter.prepare('a', '', {}),
    done: (running) => exists(running, 'a'),
  },
  {
    name: 'prepare with parent',
    before: withLayer,
    operation: ({ snapshotter }) => snapshotter.prepare('a', 'layer', {}),
    done: (running) => exists(running, 'a'),
  },
  {
    name: 'view',
    before: withLayer,
    operation: ({ snapshotter }) => snapshotter.view('a', 'layer', {}),
    done: (running) => exists(running, 'a'),
  },
  {
    name: 'commit',
    before: withActive,
    operation: ({ snapshotter }) => snapshotter.commit('new', 'a', {}, undefined),
    done: (running) => exists(running, 'new'),
  },
  {
    name: 'remove of an active snapshot',
    before: withActive,
    operation: ({ snapshotter }) => snapshotter.remove('a'),
    done: async (running) => !(await exists(running, 'a')),
  },
  {
    name: 'remove of a committed snapshot, with discard',
    options: { discardBlocks: true },
    before: withLayer,
    operation: ({ snapshotter }) => snapshotter.remove('layer'),
    done: async (running) => !(await exists(running, 'layer')),
  },
  {
    name: 'remove of a committed snapshot, with discard until the crash',
    options: { discardBlocks: true },
    optionsAfter: { discardBlocks: false },
    before: withLayer,
    operation: ({ snapshotter }) => snapshotter.remove('layer'),
    done: async (running) => !(await exists(running, 'layer')),
  },
  {
    name: 'remove and cleanup with async_remove',
    options: { asyncRemove: true },
    before: withActive,
    operation: async ({ snapshotter }) => {
      await snapshotter.remove('a');
      await snapshotter.cleanup();
    },
    done: async (running) => !(await exists(running, 'a')),
  },
];

/** Ends the daemon at the `at`-th point (0 = never); returns the points that it passed. */
function crashAt(at: number): { readonly options: StartOptions; readonly points: string[]; armed: boolean } {
  const points: string[] = [];
  const crash = { armed: false, points, options: {} as StartOptions };
  const pass = (point: string): void => {
    if (!crash.armed) return;
    points.push(point);
    if (points.length >= at && at > 0) throw new DaemonCrash(point);
  };
  crash.options = {
    onStep: pass,
    onTransaction: pass,
    hooks: {
      before: ({ step, message }) => pass(`before ${step} ${message}`),
      after: ({ step, message }) => pass(`after ${step} ${message}`),
    },
  };
  return crash;
}

async function assertTogether(world: World, running: Running): Promise<void> {
  await running.snapshotter.cleanup();
  const records = running.store.snapshotsAfter(0, 1000);
  const bases = running.store.bases();
  assert.ok(records.every(({ state }) => state === 'active' || state === 'committed'));
  const owned = [...records, ...bases].map(({ deviceId }) => deviceId as number).sort();
  assert.deepEqual(
    [...world.kernel.pool(POOL).thins.keys()].sort(),
    owned,
    'store and pool have the same ids',
  );
  assert.deepEqual(
    activeDevices(world.kernel),
    records
      .filter(({ state }) => state === 'active')
      .map(({ deviceId }) => `pool-snap-${deviceId}`)
      .sort(),
    'exactly the active snapshots are active',
  );
  assert.ok([...world.kernel.devices.values()].every(({ suspended }) => !suspended));
}

async function runTo(scenario: Scenario, at: number, reboot: boolean): Promise<readonly string[]> {
  await using world = await createWorld();
  const crash = crashAt(at);
  const first = await world.start({ ...scenario.options, ...crash.options });
  await scenario.before(first);
  crash.armed = true;
  const acknowledged = await scenario.operation(first).then(
    () => true,
    () => false,
  );
  await first.stop();
  if (reboot) {
    const pool = world.kernel.table(POOL);
    world.kernel.reboot();
    world.kernel.createDevice(POOL, '');
    world.kernel.load(POOL, pool, false);
    world.kernel.resume(POOL);
  }
  const second = await world.start(scenario.optionsAfter ?? scenario.options);
  await assertTogether(world, second);
  const done = await scenario.done(second);
  if (acknowledged) assert.ok(done, 'what was acknowledged is there');
  if (!done) await scenario.operation(second);
  assert.ok(await scenario.done(second), 'the same request can be made again');
  await assertTogether(world, second);
  return crash.points;
}

for (const scenario of scenarios) {
  for (const reboot of [false, true]) {
    test(`${scenario.name}: a crash at every point${reboot ? ', then a reboot' : ''}`, async (t) => {
      const points = await runTo(scenario, 0, reboot);
      assert.ok(points.length >= 6, `an undisturbed run passes points (${points.length})`);
      for (let at = 1; at <= points.length; at += 1) {
        await t.test(`${at} ${points[at - 1] ?? ''}`, () =>
          runTo(scenario, at, reboot).then(() => undefined),
        );
      }
    });
  }
}

test('a device that a crash left without its table is made anew: the record was active before the device was', async () => {
  await using world = await createWorld();
  const first = await world.start();
  await withActive(first);
  await first.stop();
  const name = dmName(activeDevices(world.kernel)[0] ?? '');
  const uuid = world.kernel.devices.get(name)?.uuid ?? '';
  world.kernel.remove(name, false);
  world.kernel.createDevice(name, uuid);
  const second = await world.start();
  assert.notEqual(world.kernel.devices.get(name)?.live, undefined, 'it has a table');
  await second.snapshotter.mounts('a');
  await assertTogether(world, second);
});

test('an interrupted creation whose device an orphan holds open keeps nobody from its key, and goes later', async () => {
  await using world = await createWorld();
  let dead = false;
  const pass = (point: string): void => {
    dead ||= point === 'before Prepare: active';
    if (dead) throw new DaemonCrash(point);
  };
  const first = await world.start({
    onStep: pass,
    onTransaction: pass,
    hooks: { before: ({ step }) => pass(step) },
  });
  await assert.rejects(first.snapshotter.prepare('a', '', {}));
  await first.stop();
  const [name = ''] = activeDevices(world.kernel);
  const device = world.kernel.devices.get(dmName(name));
  assert.ok(device, 'the device was made');
  // As resize2fs does that outlives a daemon which was killed.
  device.openers = 1;
  const second = await world.start();
  await second.snapshotter.prepare('a', '', {});
  device.openers = 0;
  await assertTogether(world, second);
});

/** Every kind of damage, made on the fake kernel: found as what it is, told but not touched by a dry run, repaired, and gone. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { bytes, deviceId, type DeviceId, dmName, sectors } from '../../../src/base/units.ts';
import { type FindingKind, FINDINGS } from '../../../src/check/findings.ts';
import type { RepairRequest } from '../../../src/check/remedies.ts';
import { thinTable } from '../../../src/dm/tables.ts';
import { deviceUuid } from '../../../src/pool/names.ts';
import type { SnapshotRecord } from '../../../src/store/records.ts';
import { toRemoving } from '../../../src/store/records.ts';
import { FAKE_MAJOR } from '../../fakes/dm-kernel.ts';
import { createWorld, MiB, POOL, type Running, type World } from '../snapshotter/harness.ts';

const DRY: RepairRequest = { apply: false, deleteDevices: [], keepDevices: [] };
const APPLY: RepairRequest = { ...DRY, apply: true };

/** `layer` committed, `a` active on it, `v` a view of it. */
async function start(world: World, serving = true): Promise<Running> {
  const running = await world.start({ serving });
  const { snapshotter } = running;
  if (running.store.snapshotByKey('layer') !== undefined) return running;
  await snapshotter.prepare('l', '', {});
  await snapshotter.commit('layer', 'l', {}, undefined);
  await snapshotter.prepare('a', 'layer', {});
  await snapshotter.view('v', 'layer', {});
  return running;
}

interface Scene {
  readonly world: World;
  readonly running: Running;
  readonly record: (key: string) => SnapshotRecord;
  /** A device in the kernel with our uuid for `id`. */
  makeDevice(
    name: string,
    id: DeviceId,
    options?: { sizeBytes?: number; uuid?: string; thinId?: DeviceId },
  ): void;
}

function sceneOf(world: World, running: Running): Scene {
  return {
    world,
    running,
    record(key) {
      const found = running.store.snapshotByKey(key);
      assert.ok(found);
      return found;
    },
    makeDevice(name, id, { sizeBytes = 64 * MiB, uuid, thinId = id } = {}) {
      const device = dmName(name);
      world.kernel.createDevice(device, uuid ?? deviceUuid(running.store.meta().storeId, id));
      const pool = world.kernel.info(POOL);
      assert.ok(pool);
      const poolDevice = `${FAKE_MAJOR}:${pool.minor}`;
      world.kernel.load(
        device,
        [thinTable({ length: sectors(sizeBytes / 512), poolDevice, deviceId: thinId })],
        false,
      );
      world.kernel.resume(device);
    },
  };
}

interface Damage {
  readonly make: (scene: Scene) => void | Promise<void>;
  /** What else shows with it. */
  readonly also?: readonly FindingKind[];
  readonly request?: (scene: Scene) => RepairRequest;
  /** Not while a daemon serves. */
  readonly offline?: boolean;
}

const snap = (record: SnapshotRecord) => dmName(`pool-snap-${record.deviceId}`);

/** Takes a snapshot's device away in the kernel. */
function removeDevice({ world }: Scene, record: SnapshotRecord): void {
  world.kernel.remove(snap(record), false);
}

const DAMAGES: Readonly<Record<FindingKind, Damage>> = {
  'pool-failed': { make: ({ world }) => void (world.kernel.pool(POOL).mode = 'fail') },
  'pool-needs-check': {
    make: ({ world }) => {
      world.kernel.pool(POOL).mode = 'ro';
      world.kernel.pool(POOL).needsCheck = true;
    },
  },
  'pool-read-only': { make: ({ world }) => void (world.kernel.pool(POOL).mode = 'ro') },
  'pool-suspended': { make: ({ world }) => world.kernel.suspend(POOL) },
  'metadata-snapshot-held': { make: ({ world }) => void (world.kernel.pool(POOL).heldRoot = 7) },
  'leaked-device': {
    make: ({ world }) => void world.kernel.message(POOL, 'create_thin 4711'),
    request: () => ({ ...APPLY, deleteDevices: [deviceId(4711)] }),
  },
  'missing-device': {
    make: (scene) => {
      removeDevice(scene, scene.record('v'));
      scene.world.kernel.message(POOL, `delete ${scene.record('v').deviceId}`);
    },
  },
  'device-inactive': { make: (scene) => removeDevice(scene, scene.record('a')) },
  'device-half-made': {
    make: (scene) => {
      const a = scene.record('a');
      removeDevice(scene, a);
      scene.world.kernel.createDevice(snap(a), deviceUuid(scene.running.store.meta().storeId, a.deviceId));
    },
  },
  'device-suspended': { make: (scene) => scene.world.kernel.suspend(snap(scene.record('a'))) },
  'device-still-active': {
    make: (scene) => scene.makeDevice(snap(scene.record('layer')), scene.record('layer').deviceId),
  },
  'wrong-size': {
    make: (scene) => {
      removeDevice(scene, scene.record('a'));
      scene.makeDevice(snap(scene.record('a')), scene.record('a').deviceId, { sizeBytes: 32 * MiB });
    },
  },
  'wrong-table': {
    make: (scene) => {
      removeDevice(scene, scene.record('a'));
      const thinId = scene.record('layer').deviceId;
      scene.makeDevice(snap(scene.record('a')), scene.record('a').deviceId, { thinId });
    },
  },
  'name-taken': {
    make: (scene) => {
      removeDevice(scene, scene.record('a'));
      scene.makeDevice(snap(scene.record('a')), scene.record('a').deviceId, { uuid: 'somebody' });
    },
  },
  'stray-device': {
    make: (scene) => {
      const { deviceId: id } = scene.record('layer');
      scene.makeDevice(`pool-discard-${id}`, id);
    },
  },
  'entry-missing': { make: ({ world, record }) => void world.nodes.missing.add(snap(record('a'))) },
  'stray-entry': { make: ({ world }) => void world.nodes.stray.add('pool-snap-4711') },
  'stray-mount': {
    make: ({ world }) =>
      void world.mounts.set('/root/mounts/dmthin-mount-x', {
        directory: '/root/mounts/dmthin-mount-x',
        source: '/dev/mapper/pool-base-1',
      }),
  },
  'creation-unfinished': {
    make: async ({ running, world }) => {
      await running.store.transaction('test', (tx) => {
        const layer = tx.snapshotByKey('layer');
        assert.ok(layer);
        const { id: _, ...common } = toRemoving(layer);
        const id = tx.nextSnapshotId();
        tx.insertSnapshot({
          ...common,
          id,
          key: 'half',
          deviceId: deviceId(99),
          sizeBytes: bytes(64 * MiB),
          state: 'creating',
          kind: 'active',
        });
      });
      world.kernel.message(POOL, 'create_thin 99');
    },
  },
  'removal-unfinished': {
    offline: true,
    make: async ({ running, record }) => {
      await running.store.transaction('test', (tx) => tx.updateSnapshot(toRemoving(record('a'))));
    },
  },
};

describe('check and repair', () => {
  for (const kind of Object.keys(FINDINGS) as FindingKind[]) {
    const { make, also = [], request, offline = false } = DAMAGES[kind];
    it(kind, async () => {
      await using world = await createWorld();
      const running = await start(world, !offline);
      const { inspector } = running;
      assert.deepEqual((await inspector.check()).findings, [], 'clean before');
      const scene = sceneOf(world, running);
      await make(scene);
      const found = (await inspector.check()).findings.map((finding) => finding.kind);
      assert.deepEqual([...new Set(found)].sort(), [kind, ...also].sort());

      const devices = structuredClone([...world.kernel.devices.keys()]);
      const dry = await inspector.repair(DRY);
      assert.ok(dry.outcomes.every(({ result }) => result !== 'repaired'));
      assert.deepEqual([...world.kernel.devices.keys()], devices, 'a dry run changes nothing');
      assert.deepEqual(
        (await inspector.check()).findings.map((finding) => finding.kind).sort(),
        found.sort(),
      );

      const { outcomes } = await inspector.repair(request?.(scene) ?? APPLY);
      const after = (await inspector.check()).findings;
      if (FINDINGS[kind].by === 'hand') {
        assert.ok(outcomes.every(({ result, why }) => result === 'left' && why !== undefined));
        assert.ok(after.length > 0);
        return;
      }
      assert.ok(
        outcomes.every(({ result }) => result === 'repaired'),
        JSON.stringify(outcomes),
      );
      assert.deepEqual(after, []);
      assert.ok([...world.kernel.devices.values()].every(({ suspended }) => !suspended));
    });
  }
});

test('a device that no record names is deleted or kept only when it is named, and never one of ours', async () => {
  await using world = await createWorld();
  const running = await start(world);
  const { inspector } = running;
  world.kernel.message(POOL, 'create_thin 4711');
  world.kernel.message(POOL, 'create_thin 4712');
  const { outcomes } = await inspector.repair(APPLY);
  assert.deepEqual(
    outcomes.map(({ result, why }) => [result, why]),
    [4711, 4712].map((id) => [
      'left',
      `--delete-device ${id} deletes it, --keep-device ${id} notes it as not ours`,
    ]),
  );
  assert.ok(world.kernel.pool(POOL).thins.has(4711));
  const ours = running.store.snapshotByKey('a')?.deviceId;
  assert.ok(ours !== undefined);
  await assert.rejects(inspector.repair({ ...APPLY, deleteDevices: [ours] }), {
    code: 'invalid_argument',
    message: /belongs to snapshot "a"/,
  });
  await assert.rejects(inspector.repair({ ...APPLY, deleteDevices: [deviceId(5000)] }), {
    code: 'invalid_argument',
  });
  await inspector.repair({ apply: true, deleteDevices: [deviceId(4711)], keepDevices: [deviceId(4712)] });
  assert.deepEqual((await inspector.check()).findings, []);
  assert.deepEqual(
    [world.kernel.pool(POOL).thins.has(4711), world.kernel.pool(POOL).thins.has(4712)],
    [false, true],
  );
  // Once it is known not to be ours, it can still be named for deletion.
  const again = await inspector.repair({ ...APPLY, deleteDevices: [deviceId(4712)] });
  assert.deepEqual(
    again.outcomes.map(({ result }) => result),
    ['repaired'],
  );
  assert.equal(world.kernel.pool(POOL).thins.has(4712), false);
});

test('a parent without its device stays while it has children; a pool without any of our devices changes nothing', async () => {
  await using world = await createWorld();
  const { inspector, store, snapshotter } = await start(world);
  const layer = store.snapshotByKey('layer');
  assert.ok(layer);
  world.kernel.message(POOL, `delete ${layer.deviceId}`);
  const { outcomes } = await inspector.repair(APPLY);
  assert.deepEqual(
    outcomes.map(({ result }) => result),
    ['left'],
  );
  assert.match(outcomes[0]?.why ?? '', /has children/);
  await snapshotter.remove('a');
  await snapshotter.remove('v');
  await inspector.repair(APPLY);
  assert.equal(store.snapshotByKey('layer'), undefined);

  await snapshotter.prepare('b', '', {});
  for (const [name] of world.kernel.devices) if (name !== POOL) world.kernel.remove(name, false);
  world.kernel.pool(POOL).thins.clear();
  const lost = await inspector.repair(APPLY);
  assert.ok(lost.outcomes.every(({ result }) => result === 'left'));
  assert.match(lost.outcomes[0]?.why ?? '', /may be another pool/);
  assert.ok(store.snapshotByKey('b'));
});

test('operations under way are not found', async () => {
  await using world = await createWorld();
  const { inspector, snapshotter } = await start(world);
  const load = { done: false };
  const work = (async () => {
    for (let round = 0; round < 30; round += 1) {
      await Promise.all(
        [0, 1, 2, 3].map(async (n) => {
          const key = `work ${round} ${n}`;
          await snapshotter.prepare(key, n === 0 ? '' : 'layer', {});
          await snapshotter.commit(`${key} done`, key, {}, undefined);
          await snapshotter.remove(`${key} done`);
        }),
      );
    }
    load.done = true;
  })();
  let checks = 0;
  for (; !load.done; checks += 1) assert.deepEqual((await inspector.check()).findings, []);
  await work;
  assert.ok(checks > 3, `${checks} checks`);
});

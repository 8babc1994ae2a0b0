/** `dmthin check` and `dmthin repair` on a real pool with the real thin_ls. Needs root and device-mapper. */
import assert from 'node:assert/strict';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { type DmName, dmName, type DeviceId, sectors } from '../../src/base/units.ts';
import type { FindingKind } from '../../src/check/findings.ts';
import type { Inspector } from '../../src/check/inspector.ts';
import { openInspector } from '../../src/daemon/open-inspector.ts';
import { silentLog } from '../../src/base/log.ts';
import type { TransportName } from '../../src/dm/client.ts';
import { thinTable } from '../../src/dm/tables.ts';
import { connectAdmin } from '../../src/grpc/admin-client.ts';
import { createListPoolDevices } from '../../src/pool/pool-devices.ts';
import { deviceUuid } from '../../src/pool/names.ts';
import { openStore } from '../../src/store/store.ts';
import { createNode, MiB, type TestNode } from './node.ts';
import { fails, succeeds } from './pool-cli.ts';

async function kindsOf(inspector: Inspector): Promise<FindingKind[]> {
  return (await inspector.check()).findings.map(({ kind }) => kind).sort();
}

interface Ids {
  readonly storeId: string;
  readonly poolDevice: string;
  readonly layer: DeviceId;
  readonly a: DeviceId;
  readonly b: DeviceId;
  readonly c: DeviceId;
  readonly v: DeviceId;
}

/** Between two daemons: the store tells what it has. */
async function readIds(node: TestNode): Promise<Ids> {
  const store = await openStore({ rootPath: node.config().rootPath });
  try {
    const id = (key: string): DeviceId => {
      const record = store.snapshotByKey(key);
      assert.ok(record, key);
      return record.deviceId;
    };
    const pool = await node.dm.info(node.poolName);
    assert.ok(pool);
    const ids = { layer: id('layer'), a: id('a'), b: id('b'), c: id('c'), v: id('v') };
    return { storeId: store.meta().storeId, poolDevice: `${pool.major}:${pool.minor}`, ...ids };
  } finally {
    await store.close();
  }
}

/** Everything at once that a machine's hands and crashes can do to a pool, each on a device of its own. */
async function damage(node: TestNode, ids: Ids): Promise<FindingKind[]> {
  const { dm, poolName } = node;
  const snap = (id: DeviceId): DmName => dmName(`${poolName}-snap-${id}`);
  const make = async (name: string, id: DeviceId, sizeBytes = 64 * MiB): Promise<void> => {
    const table = [thinTable({ length: sectors(sizeBytes / 512), poolDevice: ids.poolDevice, deviceId: id })];
    await dm.create(dmName(name), { uuid: deviceUuid(ids.storeId, id), table });
  };
  await dm.message(poolName, 'create_thin 4711');
  await dm.remove(snap(ids.v));
  await dm.message(poolName, `delete ${ids.v}`);
  await make(snap(ids.layer), ids.layer);
  await dm.remove(snap(ids.a));
  await make(snap(ids.a), ids.a, 32 * MiB);
  await dm.suspend(snap(ids.b));
  await dm.remove(snap(ids.c));
  await runChecked(runProcess, 'dmsetup', [
    'create',
    '--notable',
    '--uuid',
    deviceUuid(ids.storeId, ids.c),
    snap(ids.c),
  ]);
  await make(`${poolName}-discard-4711`, 4711 as DeviceId);
  await symlink('../dm-4711', `/dev/mapper/${poolName}-snap-4712`);
  return [
    'leaked-device',
    'missing-device',
    'device-still-active',
    'wrong-size',
    'device-suspended',
    'device-half-made',
    'stray-device',
    'stray-entry',
  ];
}

async function prepareNode(node: TestNode, transport: TransportName): Promise<void> {
  await using serving = await node.serve({ transport });
  const { client } = serving;
  await client.prepare('l', '');
  await client.commit('layer', 'l');
  for (const key of ['a', 'b', 'c']) await client.prepare(key, 'layer');
  await client.view('v', 'layer');
}

for (const transport of ['ioctl', 'dmsetup'] as const) {
  test(`damage of every kind is found and repaired without a daemon (${transport})`, async () => {
    await using node = await createNode();
    await prepareNode(node, transport);
    const ids = await readIds(node);
    const config = node.config({ transport });
    await using stack = new AsyncDisposableStack();
    const inspector = await openInspector(config, { log: silentLog });
    stack.defer(() => inspector.close());
    assert.deepEqual(await kindsOf(inspector), []);
    const expected = await damage(node, ids);
    const found = await kindsOf(inspector);
    assert.deepEqual(found, expected.toSorted());
    assert.equal((await node.poolStatus()).heldRoot, undefined, 'a check leaves no metadata snapshot');

    const dry = await inspector.repair({ apply: false, deleteDevices: [], keepDevices: [] });
    assert.equal(dry.outcomes.length, expected.length);
    assert.deepEqual(await kindsOf(inspector), found, 'a dry run changes nothing');
    const first = await inspector.repair({ apply: true, deleteDevices: [], keepDevices: [] });
    assert.deepEqual(
      first.outcomes.filter(({ result }) => result === 'left').map(({ finding }) => finding.kind),
      ['leaked-device'],
      JSON.stringify(first.outcomes),
    );
    const id = 4711 as DeviceId;
    const second = await inspector.repair({ apply: true, deleteDevices: [id], keepDevices: [] });
    assert.deepEqual(
      second.outcomes.map(({ result }) => result),
      ['repaired'],
    );
    assert.deepEqual(await kindsOf(inspector), []);
  });
}

test('the daemon itself looks while it serves, under load too; the commands find it by the lock', async () => {
  await using node = await createNode();
  const path = join(node.directory, 'config.toml');
  const { rootPath, address, poolName } = node.config();
  await writeFile(
    path,
    `pool_name = "${poolName}"\nroot_path = "${rootPath}"\naddress = "${address}"\nbase_image_size = "64MB"\n`,
  );
  await fails(69, /there is no snapshot store in/, 'check', '--config', path);
  await prepareNode(node, 'ioctl');
  assert.match(
    await succeeds('check', '--config', path),
    /store and pool agree \(5 snapshots, 1 base, 6 devices in the pool\)$/,
  );

  await using serving = await node.serve();
  const { client } = serving;
  assert.match(await succeeds('check', '--config', path), /store and pool agree/);
  const state = { done: false };
  const load = (async () => {
    for (let round = 0; round < 8; round += 1) {
      await Promise.all(
        [0, 1, 2, 3].map(async (n) => {
          const key = `load ${round} ${n}`;
          await client.prepare(key, 'layer');
          await client.commit(`${key} done`, key);
          await client.remove(`${key} done`);
        }),
      );
    }
    state.done = true;
  })();
  const admin = await connectAdmin(address);
  for (let checks = 0; !state.done || checks < 3; checks += 1)
    assert.deepEqual((await admin.check()).findings, [], 'operations under way are not found');
  await load;

  await node.dm.message(poolName, 'create_thin 4711');
  await node.dm.suspend(dmName((await client.mounts('b'))[0]?.source.replace('/dev/mapper/', '') ?? ''));
  await fails(1, /^$/, 'check', '--address', address);
  await fails(1, /^$/, 'repair', '--address', address);
  await fails(64, /belongs to snapshot "layer"/, 'repair', '--address', address, '--delete-device', '2');
  assert.match(
    await succeeds('repair', '--apply', '--delete-device', '4711', '--address', address),
    /2 repaired, 0 left$/,
  );
  assert.deepEqual((await admin.check()).findings, []);
  admin.close();
});

test('thin_ls that is missing or fails: which package, and the metadata snapshot is given back', async () => {
  await using node = await createNode();
  const list = createListPoolDevices({
    dm: node.dm,
    run: (_, args, options) => runProcess('thin_ls-is-not-here', args, options),
    poolName: node.poolName,
  });
  await assert.rejects(list(), { code: 'unsupported', message: /install thin-provisioning-tools/ });
  assert.equal((await node.poolStatus()).heldRoot, undefined);
  const broken = createListPoolDevices({
    dm: node.dm,
    run: (_, __, options) => runProcess('false', [], options),
    poolName: node.poolName,
  });
  await assert.rejects(broken(), { code: 'unavailable' });
  assert.equal((await node.poolStatus()).heldRoot, undefined);
});

test('a start takes away what a crash of formatting left mounted', async () => {
  await using node = await createNode();
  await prepareNode(node, 'ioctl');
  const { layer } = await readIds(node);
  const mounts = join(node.config().rootPath, 'mounts');
  const [busy, empty] = [join(mounts, 'dmthin-mount-one'), join(mounts, 'dmthin-mount-two')];
  await runChecked(runProcess, 'mkdir', ['-p', busy, empty]);
  await runChecked(runProcess, 'mount', ['-t', 'tmpfs', `${node.poolName}-base-${layer}`, busy]);
  const inspector = await openInspector(node.config(), { log: silentLog });
  assert.deepEqual(await kindsOf(inspector), ['stray-mount']);
  await inspector.close();
  await using serving = await node.serve();
  const admin = await connectAdmin(serving.daemon.address);
  assert.deepEqual(await kindsOf(admin), []);
  admin.close();
  assert.equal(await runChecked(runProcess, 'ls', [mounts]), '');
});

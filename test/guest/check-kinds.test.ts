/** The kinds of finding that check.test.ts does not make, each made for real: found, told by a dry run, repaired, and gone. */
import assert from 'node:assert/strict';
import { mkdir, symlink, unlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { deviceId, type DeviceId, type DmName, sectors } from '../../src/base/units.ts';
import type { FindingKind } from '../../src/check/findings.ts';
import type { Inspector } from '../../src/check/inspector.ts';
import { openInspector } from '../../src/daemon/open-inspector.ts';
import { thinTable } from '../../src/dm/tables.ts';
import { connectAdmin } from '../../src/grpc/admin-client.ts';
import { deviceUuid, snapshotDeviceName } from '../../src/pool/names.ts';
import { type SnapshotRecord, toRemoving } from '../../src/store/records.ts';
import { openStore } from '../../src/store/store.ts';
import { createFaultyNode, type FaultyNode } from './faulty-node.ts';
import { createNode, MiB, type Serving, type TestNode } from './node.ts';

const STRANGE_ID = deviceId(4711);
const NOTHING = { deleteDevices: [], keepDevices: [] };

interface Site {
  readonly node: TestNode;
  readonly storeId: string;
  readonly active: SnapshotRecord;
  readonly layer: SnapshotRecord;
  readonly mounts: string;
  readonly nameOf: (id: DeviceId) => DmName;
}

async function furnish({ client }: Serving): Promise<void> {
  await client.prepare('l', '');
  await client.commit('layer', 'l');
  await client.prepare('active', 'layer');
}

/** What the store says, read while no daemon has it. */
async function readSite(node: TestNode): Promise<Site> {
  const { rootPath } = node.config();
  const store = await openStore({ rootPath });
  try {
    const [active, layer] = ['active', 'layer'].map((key) => store.snapshotByKey(key));
    assert.ok(active !== undefined && layer !== undefined);
    return {
      ...{ node, active, layer },
      storeId: store.meta().storeId,
      mounts: join(rootPath, 'mounts'),
      nameOf: (id) => snapshotDeviceName(node.poolName, id),
    };
  } finally {
    await store.close();
  }
}

/** The active snapshot's device as somebody else could have made it. */
async function replaceActive(site: Site, thin: DeviceId, uuid?: string): Promise<void> {
  const { node, storeId, nameOf, active } = site;
  const name = nameOf(active.deviceId);
  await node.dm.remove(name);
  const pool = await node.dm.info(node.poolName);
  const poolDevice = `${pool?.major}:${pool?.minor}`;
  const table = thinTable({ length: sectors((64 * MiB) / 512), poolDevice, deviceId: thin });
  await node.dm.create(name, { uuid: uuid ?? deviceUuid(storeId, active.deviceId), table: [table] });
}

type Damage = (site: Site) => Promise<unknown>;

const DAMAGES = {
  'metadata-snapshot-held': ({ node }) => node.dm.message(node.poolName, 'reserve_metadata_snap'),
  'device-inactive': ({ node, nameOf, active }) => node.dm.remove(nameOf(active.deviceId)),
  'wrong-table': (site) => replaceActive(site, site.layer.deviceId),
  'entry-missing': ({ nameOf, active }) => unlink(`/dev/mapper/${nameOf(active.deviceId)}`),
  'stray-mount': async ({ nameOf, active, mounts }) => {
    const directory = join(mounts, 'left');
    await mkdir(directory, { recursive: true });
    const source = `/dev/mapper/${nameOf(active.deviceId)}`;
    await runChecked(runProcess, 'mount', ['-t', 'ext4', source, directory]);
  },
} as const satisfies Partial<Record<FindingKind, Damage>>;

async function kindsFound(inspector: Inspector): Promise<FindingKind[]> {
  return (await inspector.check()).findings.map(({ kind }) => kind);
}

for (const transport of ['ioctl', 'dmsetup'] as const) {
  suite(`through the daemon, ${transport}`, async () => {
    test('one kind of damage after another', async () => {
      await using node = await createNode();
      {
        await using serving = await node.serve();
        await furnish(serving);
      }
      const site = await readSite(node);
      await using serving = await node.serve({ transport });
      const admin = await connectAdmin(serving.daemon.address);
      try {
        for (const [kind, damage] of Object.entries<Damage>(DAMAGES)) {
          await damage(site);
          // Each run begins with a check: that the second finds the same shows that the first changed nothing.
          for (const [apply, result] of [
            [false, 'would'],
            [true, 'repaired'],
          ] as const) {
            const { outcomes } = await admin.repair({ apply, ...NOTHING });
            assert.deepEqual(
              outcomes.map(({ finding, result: is, why }) => [finding.kind, is, why]),
              [[kind, result, undefined]],
            );
          }
          assert.deepEqual(await kindsFound(admin), []);
          assert.equal((await node.poolStatus()).heldRoot, undefined, 'the metadata snapshot is given back');
        }
        const [mount] = await serving.client.mounts('active');
        const size = await runChecked(runProcess, 'blockdev', ['--getsize64', mount?.source ?? '']);
        assert.equal(Number(size), 64 * MiB);
      } finally {
        admin.close();
      }
    });
  });
}

test('without a daemon: what was under way is finished; a stranger under our name is left to a person', async () => {
  await using node = await createNode();
  {
    await using serving = await node.serve();
    await furnish(serving);
    await serving.client.prepare('leaving', 'layer');
  }
  const site = await readSite(node);
  const { active, nameOf } = site;
  const store = await openStore({ rootPath: node.config().rootPath });
  await store.transaction('damage', (tx) => {
    const { sizeBytes, fsType, origin, parentId } = active;
    const common = { sizeBytes, fsType, origin, parentId, labels: {}, createdAtMs: 0, updatedAtMs: 0 };
    const [id, device] = [tx.nextSnapshotId(), tx.nextDeviceId()];
    tx.insertSnapshot({ ...common, id, key: 'half', state: 'creating', kind: 'active', deviceId: device });
    const leaving = tx.snapshotByKey('leaving');
    if (leaving !== undefined) tx.updateSnapshot(toRemoving(leaving));
  });
  await store.close();
  const inspector = await openInspector(node.config(), { log: silentLog });
  try {
    assert.deepEqual((await kindsFound(inspector)).sort(), ['creation-unfinished', 'removal-unfinished']);
    const done = await inspector.repair({ apply: true, ...NOTHING });
    assert.deepEqual(
      done.outcomes.map(({ result }) => result),
      ['repaired', 'repaired'],
    );
    assert.deepEqual(await kindsFound(inspector), []);

    await replaceActive(site, active.deviceId, 'SOMEBODY');
    const left = await inspector.repair({ apply: true, ...NOTHING });
    assert.deepEqual(
      left.outcomes.map(({ finding, result }) => [finding.kind, result]),
      [['name-taken', 'left']],
    );
    assert.equal((await node.dm.info(nameOf(active.deviceId)))?.uuid, 'SOMEBODY');
    await node.dm.remove(nameOf(active.deviceId));

    await node.dm.suspend(node.poolName);
    assert.deepEqual((await kindsFound(inspector)).slice(0, 1), ['pool-suspended']);
    await node.dm.resume(node.poolName);
  } finally {
    await inspector.close();
  }
});

test('a start takes away an entry of /dev/mapper whose device is gone', async () => {
  await using node = await createNode();
  const entry = `/dev/mapper/${snapshotDeviceName(node.poolName, STRANGE_ID)}`;
  await symlink('../dm-4711', entry);
  await using serving = await node.serve();
  assert.equal(await serving.client.isServing(), true);
  assert.equal(existsSync(entry), false);
});

/** How each comes about; docs/recovery.md says what a person does about it. */
const POOL_FAULTS = {
  'pool-read-only': (node) => node.reload(['read_only']),
  'pool-needs-check': async (node, { client }) => {
    await node.metadata.become('writes fail');
    await assert.rejects(client.prepare('refused', 'layer'));
    await node.metadata.heal();
    await node.removePool();
    await node.createPool();
  },
  'pool-failed': async (node, { client }) => {
    await node.metadata.become('gone');
    await assert.rejects(client.prepare('refused', 'layer'));
  },
} as const satisfies Partial<Record<FindingKind, (node: FaultyNode, serving: Serving) => Promise<void>>>;

for (const [kind, spoil] of Object.entries(POOL_FAULTS)) {
  test(`${kind}: told, and left to a person`, async () => {
    await using node = await createFaultyNode();
    await using serving = await node.serve();
    await furnish(serving);
    const admin = await connectAdmin(serving.daemon.address);
    try {
      await spoil(node, serving);
      const { outcomes } = await admin.repair({ apply: true, ...NOTHING });
      const [first] = outcomes;
      assert.deepEqual([first?.finding.kind, first?.result], [kind, 'left'], JSON.stringify(outcomes));
      assert.equal((await admin.check()).poolDevices, undefined);
    } finally {
      admin.close();
    }
  });
}

test('a check beside 32 callers finds nothing', async () => {
  await using node = await createNode({ dataBytes: 1024 * MiB });
  await using serving = await node.serve();
  await furnish(serving);
  const admin = await connectAdmin(serving.daemon.address);
  try {
    const progress = { working: true };
    const work = Promise.all(
      Array.from({ length: 32 }, async (_, caller) => {
        for (let round = 0; round < 4; round += 1) {
          const key = `${caller}-${round}`;
          await serving.client.prepare(key, 'layer');
          await serving.client.commit(`c-${key}`, key);
          await serving.client.view(`v-${key}`, `c-${key}`);
          await serving.client.remove(`v-${key}`);
          if (caller % 2 === 0) await serving.client.remove(`c-${key}`);
        }
      }),
    ).finally(() => (progress.working = false));
    let checks = 0;
    while (progress.working) {
      assert.deepEqual((await admin.check()).findings, []);
      checks += 1;
    }
    await work;
    assert.ok(checks >= 2, `only ${checks} checks`);
    assert.deepEqual(await kindsFound(admin), []);
  } finally {
    admin.close();
  }
});

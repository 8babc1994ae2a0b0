import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { bytes, deviceId, MAX_DEVICE_ID, type DeviceId, type SnapshotId } from '../../../src/base/units.ts';
import type { CreatingRecord } from '../../../src/store/records.ts';
import { openStore, type StoreWriter } from '../../../src/store/store.ts';

async function inTemporary(body: (rootPath: string) => Promise<void>): Promise<void> {
  const rootPath = await mkdtemp(join(tmpdir(), 'dmthin-store-'));
  try {
    await body(rootPath);
  } finally {
    await rm(rootPath, { recursive: true });
  }
}

function insert(tx: StoreWriter, key: string, parentId: SnapshotId | null = null): CreatingRecord {
  const record: CreatingRecord = {
    id: tx.nextSnapshotId(),
    key,
    state: 'creating',
    kind: 'active',
    parentId,
    deviceId: tx.nextDeviceId(),
    fsType: 'ext4',
    sizeBytes: bytes(1024),
    labels: { a: 'b' },
    createdAtMs: 1,
    updatedAtMs: 2,
    origin: { mappedBytes: 0, inodes: 0 },
  };
  tx.insertSnapshot(record);
  return record;
}

test('what a transaction wrote is there after reopening, in every table', () =>
  inTemporary(async (rootPath) => {
    const store = await openStore({ rootPath });
    const { storeId } = store.meta();
    const [parent, child] = await store.transaction('t', (tx) => {
      const first = insert(tx, 'parent');
      return [first, insert(tx, 'child', first.id)] as const;
    });
    await store.close();
    const again = await openStore({ rootPath });
    assert.equal(again.meta().storeId, storeId);
    assert.deepEqual(again.snapshotByKey('parent'), parent);
    assert.deepEqual(again.snapshotsAfter(0, 10), [parent, child]);
    assert.ok(again.hasChildren(parent.id));
    assert.ok(!again.hasChildren(child.id));
    assert.deepEqual(again.deviceOwner(child.deviceId), { kind: 'snapshot', id: child.id });
    await again.close();
  }));

test('a body that throws leaves no trace and its error arrives unchanged, also among concurrent ones', () =>
  inTemporary(async (rootPath) => {
    const store = await openStore({ rootPath });
    const boom = new DmthinError('busy', { op: 'test', what: 'boom' });
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        store.transaction('t', (tx) => {
          insert(tx, `key ${index}`);
          if (index % 2 === 1) throw boom;
        }),
      ),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 10);
    for (const result of results) if (result.status === 'rejected') assert.equal(result.reason, boom);
    assert.deepEqual(
      store.snapshotsAfter(0, 100).map(({ key }) => key),
      Array.from({ length: 10 }, (_, index) => `key ${index * 2}`),
    );
    await store.close();
  }));

test('a taken key, an illegal move and forgetting a live snapshot are refused', () =>
  inTemporary(async (rootPath) => {
    const store = await openStore({ rootPath });
    const record = await store.transaction('t', (tx) => insert(tx, 'k'));
    await assert.rejects(
      store.transaction('t', (tx) => void insert(tx, 'k')),
      { code: 'already_exists' },
    );
    const committed = { ...record, state: 'committed', totals: { mappedBytes: 1, inodes: 1 } } as const;
    await assert.rejects(
      store.transaction('t', (tx) => tx.updateSnapshot(committed)),
      /cannot go from creating to committed/,
    );
    await store.transaction('t', (tx) => tx.updateSnapshot({ ...record, state: 'active' }));
    await assert.rejects(
      store.transaction('t', (tx) => tx.forgetSnapshot(record.id)),
      /not to be forgotten/,
    );
    await store.close();
  }));

test('removing frees the key and the parent at once, the device id only when it is forgotten', () =>
  inTemporary(async (rootPath) => {
    const store = await openStore({ rootPath });
    const [parent, child] = await store.transaction('t', (tx) => {
      const first = insert(tx, 'parent');
      return [first, insert(tx, 'child', first.id)] as const;
    });
    await store.transaction('t', (tx) => tx.updateSnapshot({ ...child, state: 'removing' }));
    assert.equal(store.snapshotByKey('child'), undefined);
    assert.ok(!store.hasChildren(parent.id));
    assert.deepEqual(store.removals(), [child.id]);
    assert.deepEqual(store.deviceOwner(child.deviceId), { kind: 'snapshot', id: child.id });
    await store.transaction('t', (tx) => tx.forgetSnapshot(child.id));
    assert.equal(store.deviceOwner(child.deviceId), undefined);
    assert.deepEqual(store.removals(), []);
    await store.close();
  }));

test('ids count up across rollbacks and removals, skip what is owned, and wrap round at 2^24', () =>
  inTemporary(async (rootPath) => {
    const store = await openStore({ rootPath });
    const next = (): Promise<DeviceId> => store.transaction('t', (tx) => tx.nextDeviceId());
    const first = await store.transaction('t', (tx) => insert(tx, 'k'));
    await store.transaction('t', (tx) => tx.forgetSnapshot(first.id));
    assert.equal(await next(), first.deviceId + 1);
    await store.transaction('t', (tx) => tx.markForeign(deviceId(first.deviceId + 2)));
    assert.equal(await next(), first.deviceId + 3);
    const meta = store.meta();
    await store.close();
    const { open } = await import('lmdb');
    const environment = open({ path: join(rootPath, 'store.mdb'), noSubdir: true, maxDbs: 16 });
    await environment
      .openDB('meta', { encoding: 'json' })
      .put('meta', { ...meta, nextDeviceId: MAX_DEVICE_ID });
    await environment.close();
    const late = await openStore({ rootPath });
    const ids: DeviceId[] = [];
    for (let count = 0; count < 4; count += 1)
      ids.push(await late.transaction('t', (tx) => tx.nextDeviceId()));
    assert.deepEqual(ids, [MAX_DEVICE_ID, 1, 2, 4], 'id 0 is never used, 3 is foreign');
    await late.close();
  }));

test('a second process on the same directory is told who holds it; a killed one leaves no lock', () =>
  inTemporary(async (rootPath) => {
    const program = `
      import { openStore } from ${JSON.stringify(join(import.meta.dirname, '../../../src/store/store.ts'))};
      await openStore({ rootPath: ${JSON.stringify(rootPath)} });
      console.log('open');
      setInterval(() => undefined, 1000);`;
    const other = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(other.stdout, 'data');
    await assert.rejects(openStore({ rootPath }), (error) => {
      assert.ok(error instanceof DmthinError);
      assert.equal(error.code, 'locked');
      assert.match(error.message, new RegExp(`process ${other.pid ?? ''}\\)`));
      return true;
    });
    other.kill('SIGKILL');
    await once(other, 'exit');
    const store = await openStore({ rootPath });
    await store.close();
  }));

test('acknowledged transactions survive SIGKILL', () =>
  inTemporary(async (rootPath) => {
    const program = `
      import { openStore } from ${JSON.stringify(join(import.meta.dirname, '../../../src/store/store.ts'))};
      const store = await openStore({ rootPath: ${JSON.stringify(rootPath)} });
      for (;;) {
        const id = await store.transaction('t', (tx) => tx.nextDeviceId());
        console.log(id);
      }`;
    const other = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    other.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.split('\n').length > 50) other.kill('SIGKILL');
    });
    await once(other, 'close');
    const acknowledged = Number(output.trim().split('\n').at(-1));
    const store = await openStore({ rootPath });
    const next = await store.transaction('t', (tx) => tx.nextDeviceId());
    assert.ok(
      acknowledged >= 50 && next > acknowledged,
      `${acknowledged} was acknowledged, the next id is ${next}`,
    );
    await store.close();
  }));

test('a row of another version is refused with its table and field', () =>
  inTemporary(async (rootPath) => {
    const { open } = await import('lmdb');
    const environment = open({ path: join(rootPath, 'store.mdb'), noSubdir: true, maxDbs: 16 });
    await environment.openDB('meta', { encoding: 'json' }).put('meta', { schema: 2 });
    await environment.close();
    await assert.rejects(openStore({ rootPath }), /table meta.*schema/);
    await assert.rejects(openStore({ rootPath }), /table meta/, 'the lock was given back');
  }));

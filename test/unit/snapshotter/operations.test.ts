import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { deviceId, dmName } from '../../../src/base/units.ts';
import type { SnapshotInfo } from '../../../src/snapshotter/snapshotter.ts';
import { activeDevices, createPool, createWorld, POOL, type Running } from './harness.ts';
import { refuses } from '../../refuses.ts';

async function listAll({ snapshotter }: Running): Promise<SnapshotInfo[]> {
  const pages: SnapshotInfo[] = [];
  for await (const page of snapshotter.list(() => true)) pages.push(...page);
  return pages;
}

async function layer({ snapshotter }: Running, name: string, parent = ''): Promise<void> {
  await snapshotter.prepare(`${name}-active`, parent, {});
  await snapshotter.commit(name, `${name}-active`, {}, undefined);
}

test('prepare without parent snapshots the base device, which is formatted once', async () => {
  await using world = await createWorld();
  const { snapshotter } = await world.start();
  const [a] = await snapshotter.prepare('a', '', {});
  const [b] = await snapshotter.prepare('b', '', {});
  assert.deepEqual(a, { type: 'ext4', source: '/dev/mapper/pool-snap-2', target: '', options: [] });
  assert.equal(b?.source, '/dev/mapper/pool-snap-3');
  assert.deepEqual(world.deeds, ['format /dev/mapper/pool-base-1 ext4', 'flush /dev/mapper/pool-base-1']);
  assert.deepEqual(activeDevices(world.kernel), ['pool-snap-2', 'pool-snap-3']);
  assert.deepEqual([...world.kernel.pool(POOL).thins.keys()].sort(), [1, 2, 3]);
});

test('parentless prepares at once wait for one formatting', async () => {
  await using world = await createWorld();
  const { snapshotter } = await world.start();
  await Promise.all(Array.from({ length: 10 }, (_, index) => snapshotter.prepare(`k${index}`, '', {})));
  assert.equal(world.deeds.filter((deed) => deed.startsWith('format')).length, 1);
  assert.equal(activeDevices(world.kernel).length, 10);
});

test('a chain: commit gives name, labels and times anew and deactivates; children and views grow from it', async () => {
  await using world = await createWorld();
  const running = await world.start();
  const { snapshotter } = running;
  await snapshotter.prepare('active', '', { mine: '1' });
  const before = await snapshotter.stat('active');
  assert.equal(before.kind, 'active');
  await snapshotter.commit('layer', 'active', { other: '2' }, undefined);
  await refuses(snapshotter.stat('active'), 'not_found');
  const layerInfo = await snapshotter.stat('layer');
  assert.deepEqual([layerInfo.kind, layerInfo.labels, layerInfo.parent], ['committed', { other: '2' }, '']);
  assert.ok(layerInfo.createdAtMs >= before.createdAtMs);
  assert.deepEqual(activeDevices(world.kernel), []);
  await snapshotter.prepare('child', 'layer', {});
  const [view] = await snapshotter.view('look', 'layer', {});
  assert.deepEqual(view?.options, ['ro']);
  assert.equal((await snapshotter.stat('look')).kind, 'view');
  assert.equal((await snapshotter.stat('child')).parent, 'layer');
  assert.deepEqual(
    (await listAll(running)).map(({ name }) => name),
    ['layer', 'child', 'look'],
  );
});

test('every refusal that depends on the store alone', async () => {
  await using world = await createWorld();
  const running = await world.start();
  const { snapshotter } = running;
  await layer(running, 'layer');
  await snapshotter.prepare('active', 'layer', {});
  await snapshotter.view('view', 'layer', {});
  await refuses(snapshotter.prepare('x', 'absent', {}), 'not_found', /parent "absent" does not exist/);
  await refuses(snapshotter.prepare('x', 'active', {}), 'invalid_argument', /not committed/);
  await refuses(snapshotter.view('active', 'layer', {}), 'already_exists');
  await refuses(snapshotter.prepare('layer', '', {}), 'already_exists');
  await refuses(snapshotter.commit('n', 'absent', {}, undefined), 'not_found');
  await refuses(snapshotter.commit('n', 'view', {}, undefined), 'failed_precondition');
  await refuses(snapshotter.commit('n', 'layer', {}, undefined), 'failed_precondition');
  await refuses(snapshotter.commit('layer', 'active', {}, undefined), 'already_exists');
  await refuses(snapshotter.commit('n', 'active', {}, 'other'), 'invalid_argument', /re-parented/);
  await refuses(snapshotter.remove('absent'), 'not_found');
  await refuses(snapshotter.remove('layer'), 'failed_precondition', /has children/);
  await refuses(snapshotter.mounts('absent'), 'not_found');
  await refuses(snapshotter.mounts('layer'), 'failed_precondition');
  await refuses(snapshotter.stat('absent'), 'not_found');
  await refuses(snapshotter.usage('absent'), 'not_found');
  await refuses(snapshotter.update('absent', { kind: 'replace', labels: {} }), 'not_found');
  await snapshotter.commit('n', 'active', {}, 'layer');
});

test('update replaces all labels or sets single ones; updated moves, created does not', async () => {
  await using world = await createWorld();
  const { snapshotter } = await world.start();
  await snapshotter.prepare('a', '', { x: '1', y: '2' });
  const before = await snapshotter.stat('a');
  const set = await snapshotter.update('a', { kind: 'set', labels: { y: '3', z: '' } });
  assert.deepEqual(set.labels, { x: '1', y: '3', z: '' });
  const replaced = await snapshotter.update('a', { kind: 'replace', labels: { q: '9' } });
  assert.deepEqual(replaced.labels, { q: '9' });
  assert.ok(before.updatedAtMs < set.updatedAtMs && set.updatedAtMs < replaced.updatedAtMs);
  assert.equal(replaced.createdAtMs, before.createdAtMs);
  assert.deepEqual(await snapshotter.stat('a'), replaced);
});

test('remove deletes device and id; the base stays', async () => {
  await using world = await createWorld();
  const running = await world.start();
  await layer(running, 'layer');
  await running.snapshotter.prepare('a', 'layer', {});
  await running.snapshotter.remove('a');
  await running.snapshotter.remove('layer');
  assert.deepEqual(await listAll(running), []);
  assert.deepEqual([...world.kernel.pool(POOL).thins.keys()], [1]);
  assert.deepEqual(activeDevices(world.kernel), []);
});

test('a busy device refuses removal with everything as before, and delays nobody else', async () => {
  await using world = await createWorld();
  const { snapshotter } = await world.start({ busyTimeoutMs: 200 });
  await snapshotter.prepare('busy', '', {});
  await snapshotter.prepare('idle', '', {});
  const before = await snapshotter.stat('busy');
  world.kernel.setOpeners(dmName('pool-snap-2'), 1);
  const order: string[] = [];
  await Promise.all([
    refuses(snapshotter.remove('busy'), 'failed_precondition', /EBUSY.*findmnt/).then(() =>
      order.push('busy'),
    ),
    snapshotter.remove('idle').then(() => order.push('idle')),
  ]);
  assert.deepEqual(order, ['idle', 'busy']);
  assert.deepEqual(await snapshotter.stat('busy'), before);
  assert.equal((await snapshotter.mounts('busy'))[0]?.source, '/dev/mapper/pool-snap-2');
  world.kernel.setOpeners(dmName('pool-snap-2'), 0);
  await snapshotter.remove('busy');
});

test('a removal that the kernel refuses at the last step is taken back', async () => {
  await using world = await createWorld();
  let refuse = true;
  const { snapshotter } = await world.start({
    hooks: {
      before: ({ message }) => {
        if (refuse && message.startsWith('delete')) {
          throw new DmthinError('internal', { op: message, what: 'refused', errno: 'EIO' });
        }
      },
    },
  });
  await snapshotter.prepare('a', '', { keep: 'me' });
  const before = await snapshotter.stat('a');
  await refuses(snapshotter.remove('a'), 'failed_precondition', /EIO; pool status: .*thin-pool/);
  assert.deepEqual(await snapshotter.stat('a'), before);
  assert.deepEqual(activeDevices(world.kernel), ['pool-snap-2']);
  refuse = false;
  await snapshotter.remove('a');
});

test('labels that are set while a removal waits are kept when it is taken back', async () => {
  await using world = await createWorld();
  const { snapshotter } = await world.start({
    hooks: {
      before: async ({ step, message }) => {
        if (step === 'remove')
          await snapshotter.update('a', { kind: 'replace', labels: { set: 'meanwhile' } });
        if (message.startsWith('delete'))
          throw new DmthinError('internal', { op: message, what: 'refused', errno: 'EIO' });
      },
    },
  });
  await snapshotter.prepare('a', '', { set: 'before' });
  await refuses(snapshotter.remove('a'), 'failed_precondition', /EIO/);
  assert.deepEqual((await snapshotter.stat('a')).labels, { set: 'meanwhile' });
});

test('async_remove: the key is free at once, Cleanup deletes; one that is busy does not stop the others', async () => {
  await using world = await createWorld();
  const running = await world.start({ asyncRemove: true });
  const { snapshotter } = running;
  for (const key of ['a', 'b', 'c']) await snapshotter.prepare(key, '', {});
  await Promise.all(['a', 'b', 'c'].map((key) => snapshotter.remove(key)));
  assert.deepEqual(await listAll(running), []);
  assert.equal(world.kernel.pool(POOL).thins.size, 4);
  await snapshotter.prepare('a', '', {});
  world.kernel.setOpeners(dmName('pool-snap-3'), 1);
  await refuses(snapshotter.cleanup(), 'failed_precondition', /pool-snap-3/);
  assert.deepEqual([...world.kernel.pool(POOL).thins.keys()].sort(), [1, 3, 5]);
  world.kernel.setOpeners(dmName('pool-snap-3'), 0);
  await snapshotter.cleanup();
  assert.deepEqual([...world.kernel.pool(POOL).thins.keys()].sort(), [1, 5]);
});

test('async_remove refuses an open device like the synchronous one', async () => {
  await using world = await createWorld();
  const { snapshotter } = await world.start({ asyncRemove: true });
  await snapshotter.prepare('a', '', {});
  world.kernel.setOpeners(dmName('pool-snap-2'), 1);
  await refuses(snapshotter.remove('a'), 'failed_precondition', /in use/);
  assert.equal((await snapshotter.stat('a')).kind, 'active');
});

test('discard_blocks discards after the durable mark, under a name of its own', async () => {
  await using world = await createWorld();
  const points: string[] = [];
  const { snapshotter } = await world.start({
    discardBlocks: true,
    onStep: (point) => points.push(point),
    onTransaction: (point) => points.push(point),
  });
  await snapshotter.prepare('a', '', {});
  points.length = 0;
  await snapshotter.remove('a');
  // The reply does not wait for it.
  while (!points.includes('after Remove: forget')) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    points.filter((point) => point.startsWith('after')),
    [
      'after deactivate',
      'after Remove: removing',
      'after activate',
      'after discard',
      'after deactivate',
      'after delete',
      'after confirm',
      'after Remove: forget',
    ],
  );
  assert.equal(world.deeds.at(-1), 'discard /dev/mapper/pool-discard-2');
  assert.deepEqual(activeDevices(world.kernel), []);
});

for (const known of [true, false]) {
  test(`ids that the pool has and we did not make are skipped for good, ${known ? 'listed' : 'not listed'} at start`, async () => {
    await using world = await createWorld();
    for (const id of [1, 2, 4]) world.kernel.message(POOL, `create_thin ${id}`);
    const cannotList = () => Promise.reject(new Error('no thin_ls'));
    const running = await world.start(known ? {} : { listPoolDevices: cannotList });
    assert.equal(running.store.deviceOwner(deviceId(4))?.kind, known ? 'foreign' : undefined);
    const { snapshotter } = running;
    const [a] = await snapshotter.prepare('a', '', {});
    assert.equal(a?.source, '/dev/mapper/pool-snap-5');
    await snapshotter.remove('a');
    assert.deepEqual([...world.kernel.pool(POOL).thins.keys()].sort(), [1, 2, 3, 4]);
  });
}

test('an active origin is suspended for the snapshot and resumed', async () => {
  await using world = await createWorld();
  const calls: string[] = [];
  const { snapshotter } = await world.start({
    hooks: { before: ({ step, device, message }) => void calls.push(`${step} ${message || (device ?? '')}`) },
  });
  await snapshotter.prepare('a', '', {});
  world.kernel.setOpeners(dmName('pool-snap-2'), 1);
  await snapshotter.commit('layer', 'a', {}, undefined);
  assert.deepEqual(activeDevices(world.kernel), ['pool-snap-2']);
  calls.length = 0;
  await snapshotter.prepare('b', 'layer', {});
  const from = calls.indexOf('suspend pool-snap-2');
  assert.deepEqual(
    calls.slice(from, from + 3),
    ['suspend pool-snap-2', 'create_snap 3 2', 'resume pool-snap-2'].map((call) =>
      call.startsWith('create') ? `message ${call}` : call,
    ),
  );
  world.kernel.setOpeners(dmName('pool-snap-2'), 0);
  assert.deepEqual(activeDevices(world.kernel), ['pool-snap-3']);
});

test('usage is of the snapshot alone and never negative; committed usage is kept', async () => {
  await using world = await createWorld();
  const { snapshotter } = await world.start();
  await snapshotter.prepare('a', '', {});
  const thins = world.kernel.pool(POOL).thins;
  const device = thins.get(2);
  assert.ok(device !== undefined);
  device.mappedSectors = 2048;
  assert.equal((await snapshotter.usage('a')).sizeBytes, 1024 * 1024);
  await snapshotter.commit('layer', 'a', {}, undefined);
  assert.equal((await snapshotter.usage('layer')).sizeBytes, 1024 * 1024);
  await snapshotter.view('v', 'layer', {});
  const view = thins.get(3);
  assert.ok(view !== undefined);
  view.mappedSectors = 1024;
  assert.deepEqual(await snapshotter.usage('v'), { sizeBytes: 0, inodes: 0 });
});

test('the size label and a raised base size grow the filesystem; nothing ever shrinks', async () => {
  await using world = await createWorld();
  const running = await world.start();
  const { snapshotter } = running;
  await layer(running, 'layer');
  world.deeds.length = 0;
  const label = 'containerd.io/snapshot/max-size';
  await snapshotter.prepare('big', 'layer', { [label]: '128MiB' });
  await snapshotter.prepare('small', 'layer', { [label]: '1MiB' });
  await snapshotter.view('view', 'layer', { [label]: '128MiB' });
  assert.deepEqual(world.deeds, ['grow /dev/mapper/pool-snap-3']);
  assert.deepEqual(
    [3, 4, 5].map((id) => world.kernel.table(dmName(`pool-snap-${id}`))[0]?.length),
    [262144, 131072, 131072],
  );
  await refuses(snapshotter.prepare('bad', 'layer', { [label]: 'huge' }), 'invalid_argument', /not a size/);
});

test('a failed creation is undone and can be asked for again', async () => {
  await using world = await createWorld();
  let failing = false;
  const running = await world.start({
    hooks: {
      before: ({ step }) => {
        if (failing && step === 'load')
          throw new DmthinError('invalid_argument', { op: 'load', what: 'no', errno: 'EINVAL' });
      },
    },
  });
  const { snapshotter } = running;
  await layer(running, 'layer');
  failing = true;
  await refuses(snapshotter.prepare('a', 'layer', {}), 'internal', /EINVAL; pool status/);
  assert.deepEqual([...world.kernel.pool(POOL).thins.keys()], [1, 2]);
  failing = false;
  await snapshotter.prepare('a', 'layer', {});
});

test('pool states: what is refused, with which code, and that it passes by itself', async () => {
  await using world = await createWorld();
  const running = await world.start();
  const { snapshotter } = running;
  await layer(running, 'layer');
  await snapshotter.prepare('a', 'layer', {});
  const pool = world.kernel.pool(POOL);
  pool.mode = 'out_of_data_space';
  await refuses(
    snapshotter.prepare('x', 'layer', {}),
    'resource_exhausted',
    /out_of_data_space.*next step: grow/,
  );
  await snapshotter.remove('a');
  pool.mode = 'ro';
  await refuses(snapshotter.prepare('x', 'layer', {}), 'unavailable', /read-only.*thin_repair/);
  await refuses(snapshotter.remove('layer'), 'unavailable');
  pool.mode = 'fail';
  await refuses(snapshotter.prepare('x', 'layer', {}), 'unavailable', /has failed/);
  assert.equal((await snapshotter.stat('layer')).kind, 'committed');
  pool.mode = 'rw';
  await snapshotter.prepare('x', 'layer', {});
});

test('a pool that is missing at start, then comes; goes, then comes back', async () => {
  await using world = await createWorld();
  world.kernel.reboot();
  const running = await world.start();
  const { snapshotter, gate } = running;
  await refuses(snapshotter.prepare('a', '', {}), 'unavailable', /does not exist.*ENXIO.*dmthin pool create/);
  assert.deepEqual(await listAll(running), []);
  createPool(world.kernel, POOL);
  await snapshotter.prepare('a', '', {});
  world.kernel.reboot();
  await gate.check();
  await refuses(snapshotter.prepare('b', '', {}), 'unavailable');
  createPool(world.kernel, POOL);
  await gate.check();
  assert.deepEqual(activeDevices(world.kernel), ['pool-snap-2']);
});

test('a caller that is gone before the intent changes nothing', async () => {
  await using world = await createWorld();
  const running = await world.start();
  await refuses(running.snapshotter.prepare('a', '', {}, { signal: AbortSignal.abort() }), 'cancelled');
  assert.deepEqual(await listAll(running), []);
});

test('list gives pages of at most 100 and hides what is being removed', async () => {
  await using world = await createWorld();
  const { snapshotter } = await world.start({ asyncRemove: true });
  await Promise.all(Array.from({ length: 250 }, (_, index) => snapshotter.prepare(`k${index}`, '', {})));
  await snapshotter.remove('k7');
  const sizes: number[] = [];
  for await (const page of snapshotter.list(({ name }) => name !== 'k8')) sizes.push(page.length);
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    248,
  );
  assert.ok(sizes.every((size) => size <= 100));
});

test('acknowledges nothing that the pool could not write down', async () => {
  await using world = await createWorld();
  const pool = world.kernel.pool(POOL);
  let failing = '';
  const running = await world.start({
    hooks: {
      after({ message }) {
        if (failing !== '' && message.startsWith(failing))
          Object.assign(pool, { mode: 'ro', needsCheck: true });
      },
    },
  });
  const { snapshotter, store } = running;
  await layer(running, 'layer');
  await snapshotter.prepare('other', 'layer', {});

  failing = 'create_snap';
  await refuses(snapshotter.prepare('lost', 'layer', {}), 'unavailable', /needs a check.*thin_repair/);
  await refuses(snapshotter.stat('lost'), 'not_found', /lost/);
  assert.equal(store.removals().length, 1);

  Object.assign(pool, { mode: 'rw', needsCheck: false });
  failing = 'delete';
  await snapshotter.remove('other');
  await refuses(snapshotter.stat('other'), 'not_found', /other/);
  assert.equal(store.removals().length, 2, 'the removal waits until the pool commits again');

  failing = '';
  Object.assign(pool, { mode: 'rw', needsCheck: false });
  await snapshotter.cleanup();
  assert.equal(store.removals().length, 0);
});

test('a pool that is suspended for a moment, because it grows, fails no Prepare', async () => {
  await using world = await createWorld();
  let resumeAt: string | undefined = 'load';
  const running = await world.start({
    hooks: {
      after: undefined,
      before({ step, device }) {
        if (step === 'load' && device?.startsWith(`${POOL}-snap-`) === true && resumeAt === 'load') {
          world.kernel.suspend(POOL);
          resumeAt = 'info';
        } else if (step === 'info' && device === POOL && resumeAt === 'info') {
          resumeAt = undefined;
          // Seen suspended, and resumed right after.
          queueMicrotask(() => world.kernel.resume(POOL));
        }
      },
    },
  });
  await running.snapshotter.prepare('a', '', {});
  assert.equal(resumeAt, undefined);
  assert.equal(activeDevices(world.kernel).length, 1);
  await running.stop();
});

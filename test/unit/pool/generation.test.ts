import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { describe, it } from 'node:test';
import { poolUuid } from '../../../src/pool/names.ts';
import { activeDevices, createPool, createWorld, POOL } from '../snapshotter/harness.ts';

type World = Awaited<ReturnType<typeof createWorld>>;

const owned = () => createWorld(poolUuid(POOL));
const transactionId = ({ kernel }: World) => kernel.pool(POOL).transactionId;

function copyStore({ rootPath }: World): string {
  const copy = `${rootPath}-copy`;
  cpSync(rootPath, copy, { recursive: true });
  return copy;
}

function restoreStore({ rootPath }: World, copy: string): void {
  rmSync(rootPath, { recursive: true });
  cpSync(copy, rootPath, { recursive: true });
  rmSync(copy, { recursive: true });
}

describe('the generation of store and pool', () => {
  it('moves at the start and at the clean end, and a crash makes no difference', async () => {
    await using world = await owned();
    const first = await world.start();
    await first.snapshotter.prepare('a', '', {});
    assert.equal(transactionId(world), 1n);
    await first.endGeneration();
    assert.equal(transactionId(world), 2n);
    await first.stop();
    const second = await world.start();
    assert.equal(transactionId(world), 3n);
    await second.stop();
    const third = await world.start();
    assert.deepEqual([transactionId(world), third.gate.state], [4n, 'open']);
  });

  it('of a pool that somebody else made is left alone', async () => {
    await using world = await createWorld('LVM-x-tpool');
    world.kernel.pool(POOL).transactionId = 7n;
    const running = await world.start();
    await running.snapshotter.prepare('a', '', {});
    await running.endGeneration();
    assert.equal(transactionId(world), 7n);
    await running.stop();
    world.kernel.pool(POOL).transactionId = 9n;
    const again = await world.start();
    assert.equal(again.gate.state, 'open');
    await again.snapshotter.prepare('b', '', {});
    assert.equal(transactionId(world), 9n);
  });

  it('shows a store from a backup: what it left unfinished is kept, and no id is given twice', async () => {
    await using world = await owned();
    let copy: string | undefined;
    const before = await world.start({
      onTransaction(point) {
        if (point === 'after Prepare: intent' && before.store.snapshotByKey('becomes a layer') !== undefined)
          copy ??= copyStore(world);
      },
    });
    await before.snapshotter.prepare('first', '', {});
    await before.snapshotter.prepare('becomes a layer', '', {});
    await before.snapshotter.commit('layer', 'becomes a layer', {}, undefined);
    await before.snapshotter.prepare('child', 'layer', {});
    await before.endGeneration();
    await before.stop();
    assert.ok(copy !== undefined);
    const devices = [...world.kernel.pool(POOL).thins.keys()];
    restoreStore(world, copy);

    const after = await world.start();
    assert.equal(after.gate.state, 'open');
    assert.deepEqual([...world.kernel.pool(POOL).thins.keys()], devices, 'no device was deleted');
    assert.equal(after.store.snapshotByKey('becomes a layer'), undefined);
    assert.equal(after.store.snapshotByKey('first')?.state, 'active');
    await after.snapshotter.prepare('new', '', {});
    const added = [...world.kernel.pool(POOL).thins.keys()].filter((id) => !devices.includes(id));
    assert.equal(added.length, 1);
    await after.snapshotter.remove('new', {});
    assert.deepEqual([...world.kernel.pool(POOL).thins.keys()], devices);
  });

  it('shows a pool that is another one of the same name', async () => {
    await using world = await owned();
    const before = await world.start();
    await before.snapshotter.prepare('a', '', {});
    await before.stop();
    for (const name of activeDevices(world.kernel)) world.kernel.remove(name as typeof POOL, false);
    world.kernel.pool(POOL).thins.clear();
    world.kernel.pool(POOL).transactionId = 0n;
    world.kernel.remove(POOL, false);
    createPool(world.kernel, POOL, poolUuid(POOL));
    // Its id is the one before the first start's: a pool as new as that is taken for the one it was.
    world.kernel.pool(POOL).transactionId = 40n;
    const after = await world.start();
    assert.equal(after.gate.state, 'open');
    assert.equal(transactionId(world), 41n);
  });
});

/** Repair beside what is under way, and beside a pool that fails meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceId } from '../../../src/base/units.ts';
import { createWorld, POOL, type Running } from '../snapshotter/harness.ts';

const APPLY = { apply: true, deleteDevices: [], keepDevices: [] };

async function furnish({ snapshotter }: Running): Promise<void> {
  await snapshotter.prepare('l', '', {});
  await snapshotter.commit('layer', 'l', {}, undefined);
  await snapshotter.prepare('a', 'layer', {});
}

test('a repair waits for a removal that discards, and leaves its device alone', async () => {
  await using world = await createWorld();
  const discarding = Promise.withResolvers<string>();
  const go = Promise.withResolvers<undefined>();
  const running = await world.start({
    asyncRemove: true,
    discardBlocks: true,
    blocks: {
      flush: () => Promise.resolve(),
      async discard(path) {
        discarding.resolve(path.replace('/dev/mapper/', ''));
        await go.promise;
      },
    },
  });
  await furnish(running);
  await running.snapshotter.remove('a');
  // In the background, as the worker does it: the key is free already.
  const removal = running.snapshotter.cleanup();
  const name = await discarding.promise;
  const present = (): boolean => [...world.kernel.devices.keys()].some((device) => device === name);
  // Something that only recovery sees to.
  world.nodes.stray.add(`${POOL}-snap-4711`);
  const repair = running.inspector.repair(APPLY);
  for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
  assert.ok(present(), 'the removal still discards');
  go.resolve(undefined);
  await removal;
  const { outcomes } = await repair;
  assert.deepEqual(
    outcomes.map(({ finding, result }) => [finding.kind, result]),
    [['stray-entry', 'repaired']],
  );
  assert.equal(present(), false);
  assert.deepEqual((await running.inspector.check()).findings, []);
});

test('recovery does not take the metadata snapshot of a check that has it just then', async () => {
  await using world = await createWorld();
  const listing = Promise.withResolvers<undefined>();
  const go = Promise.withResolvers<undefined>();
  const messages: string[] = [];
  const armed = { now: false };
  const running = await world.start({
    hooks: { before: ({ message }) => void messages.push(message) },
    async listPoolDevices() {
      if (!armed.now) return [];
      world.kernel.pool(POOL).heldRoot = 7;
      listing.resolve(undefined);
      await go.promise;
      world.kernel.pool(POOL).heldRoot = undefined;
      return [...world.kernel.pool(POOL).thins.keys()].map((id) => deviceId(id));
    },
  });
  armed.now = true;
  const check = running.inspector.check();
  await listing.promise;
  const recovery = running.gate.recover();
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
  go.resolve(undefined);
  await Promise.all([check, recovery]);
  assert.deepEqual(
    messages.filter((message) => message === 'release_metadata_snap'),
    [],
  );
});

test('a device counts as deleted only when the pool has written that down', async () => {
  await using world = await createWorld();
  const id = deviceId(4711);
  const running = await world.start({
    hooks: {
      after: ({ message }) => {
        if (message !== `delete ${id}`) return;
        world.kernel.pool(POOL).mode = 'ro';
        world.kernel.pool(POOL).needsCheck = true;
      },
    },
  });
  await furnish(running);
  world.kernel.pool(POOL).thins.set(id, { mappedSectors: 0 });
  const { outcomes } = await running.inspector.repair({ ...APPLY, deleteDevices: [id] });
  assert.deepEqual(
    outcomes.map(({ finding, result }) => [finding.kind, result]),
    [
      ['leaked-device', 'left'],
      ['pool-needs-check', 'left'],
    ],
  );
});

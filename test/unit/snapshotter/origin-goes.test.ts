/** A layer's device that is still active goes at its last close: at any moment, also while a child is made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dmName } from '../../../src/base/units.ts';
import { errnoError } from '../../../src/dm/errno.ts';
import type { Snapshotter } from '../../../src/snapshotter/snapshotter.ts';
import { refuses } from '../../refuses.ts';
import { createWorld, POOL, type World } from './harness.ts';

const LAYER = dmName('pool-snap-2');

/** A layer whose device somebody still has mounted. @param onSuspend what the kernel does when it is asked to suspend it. */
async function mountedLayer(world: World, onSuspend: () => void): Promise<Snapshotter> {
  let isCommitted = false;
  const { snapshotter } = await world.start({
    hooks: {
      before: ({ step, device }) => {
        if (isCommitted && step === 'suspend' && device === LAYER) onSuspend();
      },
    },
  });
  await snapshotter.prepare('k', '', {});
  world.kernel.setOpeners(LAYER, 1);
  await snapshotter.commit('layer', 'k', {}, undefined);
  isCommitted = true;
  return snapshotter;
}

function einval(): never {
  throw errnoError('EINVAL', { op: 'suspend', what: 'cannot suspend', device: LAYER });
}

test('EINVAL from a device that the kernel takes apart means that there is nothing to suspend', async () => {
  await using world = await createWorld();
  const snapshotter = await mountedLayer(world, () => {
    if (world.kernel.info(LAYER) === undefined) return;
    world.kernel.setOpeners(LAYER, 0);
    einval();
  });
  await snapshotter.prepare('child', 'layer', {});
  assert.equal(world.kernel.info(LAYER), undefined);
  assert.equal(world.kernel.info(dmName('pool-snap-3'))?.live, true);
});

test('EINVAL while a filesystem is being unmounted passes, for Prepare and for Commit', async () => {
  await using world = await createWorld();
  let refusals = 0;
  const { snapshotter } = await world.start({
    hooks: {
      before: ({ step, device }) => {
        if (step !== 'suspend' || refusals === 0) return;
        refusals -= 1;
        throw errnoError('EINVAL', { op: 'suspend', what: 'cannot suspend', device });
      },
    },
  });
  await snapshotter.prepare('k', '', {});
  world.kernel.setOpeners(LAYER, 1);
  refusals = 2;
  await snapshotter.commit('layer', 'k', {}, undefined);
  assert.equal(refusals, 0);
  refusals = 2;
  await snapshotter.prepare('child', 'layer', {});
  assert.equal(refusals, 0);
  assert.equal(world.kernel.info(LAYER)?.suspended, false);
});

test('EBUSY to the deletion of a device that the kernel takes apart passes', async () => {
  await using world = await createWorld();
  let refusals = 0;
  const { snapshotter } = await world.start({
    hooks: {
      before: ({ step, message, device }) => {
        if (step !== 'message' || !message.startsWith('delete') || refusals === 0) return;
        refusals -= 1;
        throw errnoError('EBUSY', { op: `message ${message}`, what: 'the target refuses', device });
      },
    },
  });
  await snapshotter.prepare('k', '', {});
  refusals = 2;
  await snapshotter.remove('k');
  assert.equal(refusals, 0);
  assert.equal(world.kernel.pool(POOL).thins.size, 1, 'the base device alone is left');
});

test('EINVAL from a device that stays is a failure', async () => {
  await using world = await createWorld();
  const snapshotter = await mountedLayer(world, einval);
  await refuses(snapshotter.prepare('child', 'layer', {}), 'internal', /EINVAL/);
});

/** Commit promises that what was written stays: where something tells that it did not, the promise is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { createWorld, POOL, type StartOptions } from './harness.ts';
import { refuses } from '../../refuses.ts';

/** Flushes that fail with `errno` until it is taken away. */
function disk() {
  const state = { errno: 'EIO' as string | undefined, recordedErrors: 0 };
  const options: StartOptions = {
    blocks: {
      flush: (path) => {
        const { errno } = state;
        return errno === undefined || path.includes('base')
          ? Promise.resolve()
          : Promise.reject(
              new DmthinError('internal', {
                op: 'flush',
                what: 'not all is on the disk',
                device: path,
                errno,
              }),
            );
      },
      discard: () => Promise.resolve(),
    },
    filesystems: {
      format: () => Promise.resolve(),
      grow: () => Promise.resolve(),
      readSuperblock: () => Promise.resolve({ usedInodes: 10, recordedErrors: state.recordedErrors }),
    },
  };
  return { state, options };
}

test('a snapshot whose flush failed once is never committed: the kernel tells of a lost write only once', async () => {
  await using world = await createWorld();
  const { state, options } = disk();
  const first = await world.start(options);
  await first.snapshotter.prepare('a', '', {});
  await refuses(
    first.snapshotter.commit('layer', 'a', {}, undefined),
    'internal',
    /^Commit: flush: not all is on the disk \(device .*pool-snap-2\): EIO; pool status: .* rw /,
  );
  state.errno = undefined;
  const lost =
    /^Commit: something that was written to snapshot "a" was lost: an earlier Commit met EIO in flush \(device pool-snap-2, id 2\); next step: .*dmesg/;
  await refuses(first.snapshotter.commit('layer', 'a', {}, undefined), 'failed_precondition', lost);
  await first.stop();

  const { snapshotter } = await world.start(options);
  await refuses(snapshotter.commit('layer', 'a', {}, undefined), 'failed_precondition', lost);
  assert.equal((await snapshotter.stat('a')).kind, 'active');
  await snapshotter.remove('a');
  await snapshotter.prepare('a', '', {});
  await snapshotter.commit('layer', 'a', {}, undefined);
});

test('a failure that loses nothing is forgotten', async () => {
  await using world = await createWorld();
  const { state, options } = disk();
  const { snapshotter } = await world.start(options);
  await snapshotter.prepare('a', '', {});
  state.errno = 'ENOMEM';
  await refuses(snapshotter.commit('layer', 'a', {}, undefined), 'internal', /ENOMEM/);
  state.errno = undefined;
  await snapshotter.commit('layer', 'a', {}, undefined);
});

test('a filesystem that has written down errors is not committed, until somebody has repaired it', async () => {
  await using world = await createWorld();
  const { state, options } = disk();
  state.errno = undefined;
  const { snapshotter } = await world.start(options);
  await snapshotter.prepare('a', '', {});
  state.recordedErrors = 3;
  await refuses(
    snapshotter.commit('layer', 'a', {}, undefined),
    'failed_precondition',
    /its filesystem has recorded errors \(3\)/,
  );
  state.recordedErrors = 0;
  await snapshotter.commit('layer', 'a', {}, undefined);
});

test('nothing is committed on a pool that cannot keep it', async () => {
  await using world = await createWorld();
  const { snapshotter } = await world.start();
  await snapshotter.prepare('a', '', {});
  const pool = world.kernel.pool(POOL);
  for (const [mode, code, words] of [
    ['out_of_data_space', 'resource_exhausted', /out of data space .*; next step: grow the pool/],
    ['ro', 'unavailable', /is read-only .*; next step: .*dmesg/],
    ['fail', 'unavailable', /has failed .*docs\/recovery\.md/],
  ] as const) {
    pool.mode = mode;
    await refuses(snapshotter.commit('layer', 'a', {}, undefined), code, words);
    assert.equal((await snapshotter.stat('a')).kind, 'active');
  }
  await refuses(snapshotter.mounts('a'), 'unavailable', /^Mounts: the thin pool has failed .*Fail/);
  pool.mode = 'ro';
  await snapshotter.mounts('a');
  pool.usedMetadataBlocks = pool.totalMetadataBlocks;
  await refuses(snapshotter.prepare('b', '', {}), 'unavailable', /its metadata is full .*grow the pool/);
  pool.usedMetadataBlocks = 10;
  pool.mode = 'rw';
  await snapshotter.commit('layer', 'a', {}, undefined);
});

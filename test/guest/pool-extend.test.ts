/** `dmthin pool extend` against the real kernel, with writers that wait for space. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { createLoopPoolNode } from './loop-pool.ts';
import { createLoopDevices } from './loop-devices.ts';
import { fails, succeeds } from './pool-cli.ts';

const MIB = 1024 ** 2;

test('a writer that waits because the pool is full goes on when it grows', async () => {
  await using node = await createLoopPoolNode('data_size = "64M"\nmetadata_size = "4M"');
  await using serving = await node.serve();
  const [mount] = await serving.client.prepare('a', '');
  assert.ok(mount !== undefined);
  // Past the floors, on the device itself: what a container may do that was there in time.
  const target = [`of=${mount.source}`, 'bs=1M', 'count=64', 'oflag=direct'];
  const writing = runChecked(runProcess, 'dd', ['if=/dev/urandom', ...target], { timeoutMs: 60_000 });
  while ((await node.status()).mode !== 'out_of_data_space') await sleep(100);
  assert.match(
    await succeeds('pool', 'extend', node.name, '--data-size', '128M', '--metadata-size', '8M'),
    /has grown\n {2}grow .*\.data from 64 MiB to 128 MiB\n.*\n {2}grow .*\.meta from 4 MiB to 8 MiB\n.*\n {2}grow the pool .*: data 64 MiB -> 128 MiB, metadata 4 MiB -> 8 MiB$/,
  );
  await writing;
  const status = await node.status();
  assert.equal(status.mode, 'rw');
  assert.equal(status.totalDataBlocks, 2048);
  assert.equal(status.totalMetadataBlocks, 2048);
  assert.match(await succeeds('pool', 'extend', node.name), /nothing to do$/);
  await fails(64, /pools only grow/, 'pool', 'extend', node.name, '--data-size', '64M');
  await serving.client.prepare('b', '');
});

test('a pool on disks takes the new size of a disk', async () => {
  await using disks = await createLoopDevices();
  const [data, metadata] = [await disks.attach(64 * MIB), await disks.attach(4 * MIB)];
  const name = `extend${process.pid}`;
  await succeeds('pool', 'create', name, '--data-device', data, '--metadata-device', metadata);
  try {
    const file = (
      await runChecked(runProcess, 'losetup', ['--noheadings', '--output', 'BACK-FILE', data])
    ).trim();
    await runChecked(runProcess, 'truncate', ['--size', '96M', join(file)]);
    await runChecked(runProcess, 'losetup', ['--set-capacity', data]);
    assert.match(await succeeds('pool', 'extend', name), /: data 64 MiB -> 96 MiB$/);
    const status = JSON.parse(await succeeds('pool', 'status', name, '--json')) as {
      data: { total_bytes: number };
    };
    assert.equal(status.data.total_bytes, 96 * MIB);
  } finally {
    await succeeds('pool', 'destroy', name);
  }
});

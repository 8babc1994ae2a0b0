/** The daemon and the room in its pool, filled for real: events, growth, the operator's command, the guard. */
import assert from 'node:assert/strict';
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { retry } from '../../src/base/retry.ts';
import { bytes, deviceId, dmName, sectors } from '../../src/base/units.ts';
import { devicePath } from '../../src/dm/client.ts';
import { openDmEvents } from '../../src/dm/events.ts';
import { loadKoffi } from '../../src/dm/ioctl-port.ts';
import { thinTable } from '../../src/dm/tables.ts';
import type { Serving } from './node.ts';
import { createLoopPoolNode, type LoopPoolNode } from './loop-pool.ts';
import { createNode, mounted } from './node.ts';
import { succeeds } from './pool-cli.ts';

// Read when the daemon asks whether it may give a thread away; bin/dmthin sets it.
process.env['UV_THREADPOOL_SIZE'] = '16';

/** Writes what cannot be shared straight to the device of a snapshot. */
async function fill(source: string, startMiB: number, sizeMiB: number): Promise<void> {
  const place = [`seek=${startMiB}`, `count=${sizeMiB}`, 'bs=1M', 'oflag=direct', 'conv=notrunc'];
  await runChecked(runProcess, 'dd', ['if=/dev/urandom', `of=${source}`, ...place], { timeoutMs: 120_000 });
}

async function prepare({ client }: Serving, key: string, parent = ''): Promise<string> {
  // A pool of this size fills faster than it grows: the guard refuses, and callers come again.
  const patience = {
    codes: ['resource_exhausted'],
    deadlineMs: 20_000,
    pauseMs: 50,
    maxPauseMs: 200,
  } as const;
  const [mount] = await retry(patience, () => client.prepare(key, parent));
  assert.ok(mount !== undefined);
  return mount.source;
}

const free = async (node: Pick<LoopPoolNode, 'status'>): Promise<number> => {
  const { usedDataBlocks, totalDataBlocks } = await node.status();
  return ((totalDataBlocks - usedDataBlocks) * 64) / 1024;
};

test('events of device-mapper are heard, between arm and wait too, and a wait can be ended', async () => {
  await using node = await createNode({ dataBytes: 16 * 1024 ** 2, features: ['error_if_no_space'] });
  const events = await openDmEvents(await loadKoffi());
  assert.ok(events !== undefined);
  const name = dmName(`${node.poolName}-full`);
  await node.dm.message(node.poolName, 'create_thin 77');
  const length = sectors((32 * 1024 ** 2) / 512);
  const table = thinTable({ length, poolDevice: devicePath(node.poolName), deviceId: deviceId(77) });
  await node.dm.create(name, { uuid: '', table: [table] });
  await events.arm();
  assert.equal(await events.wait(20), 'timeout');
  // The pool becomes full, and says so.
  const waiting = events.wait(60_000);
  await assert.rejects(fill(devicePath(name), 0, 24), /No space left|Input\/output error/);
  assert.equal(await waiting, 'event');
  await node.dm.remove(name);
  await events.arm();
  const closing = events.wait(60_000);
  await events.close();
  assert.equal(await closing, 'closed');
});

test('a pool on loop files grows before it is full, data and metadata, while writers go on', async () => {
  await using node = await createLoopPoolNode(
    'data_size = "64M"\nmetadata_size = "2M"\nmax_data_size = "256M"',
  );
  await using serving = await node.serve();
  const before = await node.status();
  const source = await prepare(serving, 'a');
  await fill(source, 1, 59);
  await serving.client.commit('layer', 'a');
  // A snapshot that differs from its origin here and there has branches of the metadata's tree of its own.
  for (let key = 0; (await node.status()).totalMetadataBlocks === before.totalMetadataBlocks; key += 1) {
    assert.ok(key < 200, 'the metadata grows');
    await using device = await open(await prepare(serving, `k${key}`, 'layer'), 'r+');
    for (const place of [0, 1, 2, 3, 4, 5, 6, 7])
      await device.write(Buffer.alloc(4096, 'x'), 0, 4096, place * 7 * 1024 ** 2);
    await device.sync();
  }
  const other = await prepare(serving, 'b');
  await fill(other, 0, 60);
  const status = await node.status();
  assert.equal(status.mode, 'rw');
  assert.ok(status.totalDataBlocks * 64 > 120 * 1024, 'it has grown');
  const data = await stat(join(node.files, `${node.name}.data`));
  assert.equal(data.size, status.totalDataBlocks * 64 * 1024);
  assert.ok(data.size <= 256 * 1024 ** 2);
  // And it is assembled again with its new size, although the configuration says 64M.
  await serving.daemon.stop();
  await node.forget();
  await using again = await node.serve();
  await again.client.mounts('b');
  assert.equal((await node.status()).totalDataBlocks, status.totalDataBlocks);
});

test('a pool on disks that gets low runs the command of the operator once for each level', async () => {
  await using node = await createNode({ dataBytes: 128 * 1024 ** 2 });
  const told = join(node.directory, 'told');
  const script = `echo "$DMTHIN_POOL $DMTHIN_SPACE" >> ${told}; sleep 0`;
  const pool = { ...node.config().pool, onLowSpace: ['/bin/sh', '-c', script] };
  await using serving = await node.serve({ pool });
  const lines = async () => (await readFile(told, 'utf8').catch(() => '')).split('\n').slice(0, -1);
  const first = await prepare(serving, 'a');
  await fill(first, 0, 60);
  const second = await prepare(serving, 'b');
  await fill(second, 0, 45);
  while ((await lines()).length === 0) await sleep(100);
  await fill(second, 45, 12);
  while ((await lines()).length < 2) await sleep(100);
  assert.deepEqual(
    await lines(),
    Array.from({ length: 2 }, () => `${node.poolName} data`),
  );
});

test('the guard refuses new snapshots while old ones still write; removal and growth let them in again', async () => {
  await using node = await createLoopPoolNode(
    'data_size = "128M"\nmetadata_size = "4M"\nmin_free_data = "24M"',
  );
  await using serving = await node.serve({ baseImageSizeBytes: bytes(256 * 1024 ** 2) });
  const { client } = serving;
  const mounts = await client.prepare('old', '');
  const filler = await prepare(serving, 'filler');
  const low = {
    code: 'resource_exhausted',
    message:
      /only .* MiB of the thin pool's data space are free, less than the 24 MiB to keep.* rw .*next step: grow/,
  };
  await mounted(mounts, async (directory) => {
    const errors = async () =>
      readFile(`/sys/fs/ext4/${basename(await devOf(mounts[0]?.source ?? ''))}/errors_count`, 'utf8');
    await fill(filler, 0, Math.floor(await free(node)) - 20);
    await assert.rejects(client.prepare('new', ''), low);
    await assert.rejects(client.view('new', ''), low);
    for (const round of [1, 2, 3]) {
      await writeFile(join(directory, `file${round}`), Buffer.alloc(2 ** 20, 'x'), { flush: true });
    }
    assert.equal((await errors()).trim(), '0', 'no journal error');

    await client.remove('filler');
    await client.prepare('new', '');
    await client.remove('new');
    const again = await prepare(serving, 'again');
    await fill(again, 0, Math.floor(await free(node)) - 16);
    await assert.rejects(client.prepare('new', ''), low);
    await succeeds('pool', 'extend', node.name, '--data-size', '192M');
    await client.prepare('new', '');
    await writeFile(join(directory, 'last'), Buffer.alloc(2 ** 20, 'x'), { flush: true });
    assert.equal((await errors()).trim(), '0');
    assert.equal((await readdir(directory)).length, 4);
  });
});

/** /dev/dm-N of a link in /dev/mapper. */
async function devOf(path: string): Promise<string> {
  return (await runChecked(runProcess, 'readlink', ['-f', path])).trim();
}

/** `dmthin pool` against the real kernel. Needs root and device-mapper: npm run guest -- node --test test/guest/pool-*.test.ts */
import assert from 'node:assert/strict';
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { deviceId, dmName, sectors } from '../../src/base/units.ts';
import { type DmClient, devicePath } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { thinTable } from '../../src/dm/tables.ts';
import { createLoopDevices, type LoopDevices } from './loop-devices.ts';
import { detachLoopsBelow, fails, loopsBelow, succeeds } from './pool-cli.ts';

const MIB = 1024 ** 2;
const POOL = dmName('dmthin-provision');
const THIN = dmName('dmthin-provision-thin');
const BLOCK_BYTES = 64 * 1024;
const THIN_BYTES = 4 * MIB;

let dm: DmClient;
let directory: string;
let disks: LoopDevices;

before(async () => {
  dm = await openDmClient('auto', { run: runProcess, log: silentLog });
});
after(() => dm.close());

beforeEach(async () => {
  directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'provision-'));
  disks = await createLoopDevices();
});
afterEach(async () => {
  for (const name of [THIN, POOL]) if ((await dm.info(name)) !== undefined) await dm.remove(name);
  await detachLoopsBelow(directory);
  await disks[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const create = (...more: string[]) => ['pool', 'create', POOL, ...more];
const onFiles = (...more: string[]) => create('--loop-dir', directory, '--data-size', '64M', ...more);
const dataFile = () => join(directory, `${POOL}.data`);
const metadataFile = () => join(directory, `${POOL}.meta`);

async function activateThin(id: number): Promise<void> {
  const length = sectors(THIN_BYTES / 512);
  const table = thinTable({ length, poolDevice: devicePath(POOL), deviceId: deviceId(id) });
  await dm.create(THIN, { uuid: '', table: [table] });
}

async function writeThin(content: Buffer): Promise<void> {
  await using file = await open(devicePath(THIN), 'r+');
  await file.write(content);
  await file.sync();
}

async function readDevice(path: string, length: number): Promise<Buffer> {
  await using file = await open(path, 'r');
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, 0);
  return buffer;
}

/** The kernel forgets pool and loop devices, as in a reboot; the files stay. */
async function forget(): Promise<void> {
  await dm.remove(POOL);
  await detachLoopsBelow(directory);
}

const pattern = (length: number) => Buffer.alloc(length, 'dmthin was here. ');

describe('a pool on loop files', () => {
  it('is made, left alone, looked at and destroyed, and nothing is left', async () => {
    assert.match(await succeeds(...onFiles()), /^pool dmthin-provision is made\n/);
    assert.equal(await succeeds(...onFiles()), 'pool dmthin-provision is already there: nothing to do');

    const status = JSON.parse(await succeeds('pool', 'status', POOL, '--json')) as Record<string, unknown>;
    assert.equal(status['mode'], 'rw');
    assert.equal(status['needs_check'], false);
    assert.deepEqual(status['data'], { used_bytes: 0, total_bytes: 64 * MIB });
    assert.equal(status['block_bytes'], BLOCK_BYTES);
    assert.deepEqual(status['features'], []);
    const { file, allocated_bytes: allocated } = status['data_device'] as {
      file: string;
      allocated_bytes: number;
    };
    assert.equal(file, dataFile());
    assert.ok(allocated < MIB, `the data file takes ${allocated} bytes`);

    assert.match(
      await succeeds('pool', 'destroy', POOL, '--delete-files'),
      /^pool dmthin-provision is gone\n/,
    );
    assert.equal(await dm.info(POOL), undefined);
    assert.deepEqual(await loopsBelow(directory), []);
    assert.deepEqual(await readdir(directory), []);
  });

  it('works over dmsetup alike', async () => {
    await succeeds(...onFiles('--transport', 'dmsetup'));
    assert.equal((await dm.info(POOL))?.uuid, `DMTHIN-POOL-${POOL}`);
    assert.match(
      await succeeds('pool', 'status', POOL, '--transport', 'dmsetup'),
      /^dmthin-provision {2}read-write\n/,
    );
    await succeeds('pool', 'destroy', POOL, '--transport', 'dmsetup', '--delete-files');
    assert.deepEqual(await readdir(directory), []);
  });

  it('uses direct I/O where the filesystem has it', async () => {
    await succeeds(...onFiles());
    const found = await runChecked(runProcess, 'losetup', [
      '--list',
      '--noheadings',
      '--output',
      'DIO,BACK-FILE',
    ]);
    const own = found.split('\n').filter((line) => line.includes(directory));
    assert.equal(own.length, 2);
    for (const line of own) assert.match(line, /^\s*1\s/);
  });

  it('keeps its data over a reboot', async () => {
    await succeeds(...onFiles('--block-size', '128K'));
    await dm.message(POOL, 'create_thin 7');
    await activateThin(7);
    await writeThin(pattern(MIB));
    await dm.remove(THIN);
    await forget();

    assert.match(await succeeds(...onFiles()), /^pool dmthin-provision is assembled\n/);
    await activateThin(7);
    assert.ok((await readDevice(devicePath(THIN), MIB)).equals(pattern(MIB)));
    await fails(1, /blocks of 128 KiB, which cannot be changed to 64 KiB/, ...onFiles('--block-size', '64K'));
  });

  it('is not destroyed while a device is active on it, and its files are found later', async () => {
    await succeeds(...onFiles());
    await dm.message(POOL, 'create_thin 1');
    await activateThin(1);
    const before = [await loopsBelow(directory), await readdir(directory)];
    await fails(
      75,
      /1 thin devices are active on it: dmthin-provision-thin/,
      'pool',
      'destroy',
      POOL,
      '--delete-files',
    );
    assert.deepEqual([await loopsBelow(directory), await readdir(directory)], before);
    await dm.remove(THIN);
    await forget();
    await succeeds('pool', 'destroy', POOL, '--loop-dir', directory, '--delete-files');
    assert.deepEqual(await readdir(directory), []);
  });

  it('of another size than its files is refused', async () => {
    await succeeds(...onFiles());
    const other = create('--loop-dir', directory, '--data-size', '512M');
    await fails(1, /is there with 64 MiB, and --data-size asks for 512 MiB/, ...other);
    await forget();
    await fails(1, /is there with 64 MiB, and --data-size asks for 512 MiB/, ...other);
  });

  it('shows a device nothing of what another one left in its blocks', async () => {
    await succeeds(...onFiles());
    await dm.message(POOL, 'create_thin 1');
    await activateThin(1);
    await writeThin(pattern(THIN_BYTES));
    await dm.remove(THIN);
    await dm.message(POOL, 'delete 1');
    assert.ok(
      (await readFile(dataFile())).includes('dmthin was here.'),
      'the deleted data is gone by itself',
    );

    await dm.message(POOL, 'create_thin 2');
    await activateThin(2);
    await using file = await open(devicePath(THIN), 'r+');
    for (let offset = 0; offset < THIN_BYTES; offset += BLOCK_BYTES)
      await file.write(Buffer.alloc(512, 1), 0, 512, offset);
    await file.sync();
    await runChecked(runProcess, 'blockdev', ['--flushbufs', devicePath(THIN)]);
    assert.ok(!(await readDevice(devicePath(THIN), THIN_BYTES)).includes('dmthin'));
  });
});

describe('a failure on the way', () => {
  it('to make a file leaves nothing behind', async () => {
    const target = join(directory, 'a/b');
    await fails(1, /make file: failed .*EFBIG/, ...create('--loop-dir', target, '--data-size', '7P'));
    assert.deepEqual(await readdir(directory), []);
  });

  it('to activate a damaged pool leaves its files as they were, by force too', async () => {
    await succeeds(...onFiles('--metadata-size', '4M'));
    await forget();
    {
      await using file = await open(metadataFile(), 'r+');
      await file.write(Buffer.from('damage'), 0, 6, 100);
      await file.sync();
    }
    const metadata = await readFile(metadataFile());
    for (const args of [onFiles(), onFiles('--force')]) {
      await fails(1, /next step: dmesg.*thin_check \/dev\/loop/, ...args);
      assert.equal(await dm.info(POOL), undefined);
      assert.deepEqual(await loopsBelow(directory), []);
      assert.ok((await readFile(metadataFile())).equals(metadata));
    }
  });
});

describe('a pool on disks', () => {
  it('is made, assembled again, and destroyed without touching the disks', async () => {
    const [data, metadata] = [await disks.attach(64 * MIB), await disks.attach(16 * MIB)];
    const onDisks = create('--data-device', data, '--metadata-device', metadata);
    await succeeds(...onDisks);
    await dm.message(POOL, 'create_thin 3');
    await dm.remove(POOL);
    assert.match(await succeeds(...onDisks), /is assembled/);
    await activateThin(3);
    await dm.remove(THIN);
    const out = await succeeds('pool', 'destroy', POOL, '--delete-files');
    assert.match(out, new RegExp(`kept: ${data}\\n {2}kept: ${metadata}$`));
    assert.ok((await readDevice(metadata, 4096)).some((byte) => byte !== 0));
    await fails(
      1,
      /holds a thin pool's metadata and cannot be the data device/,
      ...create('--data-device', metadata, '--metadata-device', data, '--force'),
    );
  });

  it('is not made over a filesystem unless by force', async () => {
    const [data, metadata] = [await disks.attach(64 * MIB), await disks.attach(16 * MIB)];
    const onDisks = create('--data-device', data, '--metadata-device', metadata);
    // The data disk is looked at first: each refusal is about the one formatted last.
    for (const disk of [metadata, data]) {
      await runChecked(runProcess, 'mkfs.ext4', ['-q', '-F', disk]);
      const before = await readDevice(disk, MIB);
      await fails(1, new RegExp(`${disk} is not blank: it holds ext4`), ...onDisks);
      assert.ok((await readDevice(disk, MIB)).equals(before));
    }
    assert.match(await succeeds(...onDisks, '--force'), new RegExp(`WIPE ${data}, which holds ext4`));
    const { exitCode } = await runProcess('blkid', ['--probe', data]);
    assert.equal(exitCode, 2, 'a signature is left');
  });

  it('is not made of a disk in use', async () => {
    const [data, metadata] = [await disks.attach(64 * MIB), await disks.attach(16 * MIB)];
    await runChecked(runProcess, 'mkfs.ext4', ['-q', '-F', data]);
    await runChecked(runProcess, 'mount', [data, directory]);
    try {
      await fails(
        75,
        new RegExp(`${data} is in use`),
        ...create('--data-device', data, '--metadata-device', metadata, '--force'),
      );
    } finally {
      await runChecked(runProcess, 'umount', [directory]);
    }
  });
});

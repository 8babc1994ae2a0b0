import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { hasCode } from '../../../src/base/errors.ts';
import type { ProcessResult, RunProcess } from '../../../src/base/process.ts';
import { bytes } from '../../../src/base/units.ts';
import { parseLoopList, parseSignature } from '../../../src/pool/block-devices-output.ts';
import { parseThinSuperblock } from '../../../src/pool/block-devices-thin-metadata.ts';
import { createBlockDevices } from '../../../src/pool/block-devices.ts';
import { thinSuperblock } from '../../fakes/machine.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dmthin-devices-'));
});
afterEach(() => rm(directory, { recursive: true }));

const MIB = 2 ** 20;

/** Answers every program with the result of its name, and keeps the command lines. */
function programs(results: Readonly<Record<string, Partial<ProcessResult>>>): {
  run: RunProcess;
  lines: string[];
} {
  const lines: string[] = [];
  const run: RunProcess = (file, args) => {
    const line = [file, ...args].join(' ');
    lines.push(line);
    const found = Object.entries(results).find(([start]) => line.startsWith(start));
    assert.ok(found, `unexpected program: ${line}`);
    return Promise.resolve({ exitCode: 0, stdout: '', stderr: '', ...found[1] });
  };
  return { run, lines };
}

const noPrograms = createBlockDevices(programs({}).run);

describe('files', () => {
  it('are made sparse, private and of their size', async () => {
    const path = join(directory, 'data');
    await noPrograms.makeFile(path, bytes(64 * MIB));
    const facts = await noPrograms.describe(path);
    assert.equal(facts?.kind, 'file');
    assert.equal(facts.sizeBytes, 64 * MIB);
    assert.ok(facts.allocatedBytes < MIB);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('are never made over another', async () => {
    const path = join(directory, 'data');
    await writeFile(path, 'precious');
    await assert.rejects(noPrograms.makeFile(path, bytes(MIB)), (error) => hasCode(error, 'already_exists'));
    assert.equal(await readFile(path, 'utf8'), 'precious');
  });

  it('that cannot have their size are not left behind', async () => {
    const path = join(directory, 'data');
    await assert.rejects(noPrograms.makeFile(path, bytes(Number.MAX_SAFE_INTEGER)), /EFBIG/);
    assert.equal(await noPrograms.describe(path), undefined);
  });

  it('are read from their start, as far as they go', async () => {
    const path = join(directory, 'data');
    await writeFile(path, 'abc');
    assert.equal((await noPrograms.readStart(path, 2)).toString(), 'ab');
    assert.equal((await noPrograms.readStart(path, 4096)).toString(), 'abc');
    await assert.rejects(
      noPrograms.readStart(join(directory, 'none'), 1),
      /read: failed \(device .*none\): ENOENT/,
    );
  });

  it('are wiped: signatures, and the first 4 KiB', async () => {
    const path = join(directory, 'data');
    await writeFile(path, Buffer.alloc(8192, 'x'));
    const { run, lines } = programs({ wipefs: {} });
    await createBlockDevices(run).wipe(path);
    assert.deepEqual(lines, [`wipefs --all --quiet ${path}`]);
    const content = await readFile(path);
    assert.deepEqual(content, Buffer.concat([Buffer.alloc(4096), Buffer.alloc(4096, 'x')]));
  });
});

describe('directories', () => {
  it('are made with their parents and removed as far as they were made', async () => {
    const path = join(directory, 'a/b/c');
    const topmost = await noPrograms.makeDirectory(path);
    assert.equal(topmost, join(directory, 'a'));
    assert.equal(await noPrograms.makeDirectory(path), undefined);
    await noPrograms.removeDirectories(path, topmost);
    assert.equal(await noPrograms.describe(join(directory, 'a')), undefined);
    assert.equal((await noPrograms.describe(directory))?.kind, 'directory');
  });

  it('have the free space of the nearest one that exists', async () => {
    assert.ok((await noPrograms.freeBytes(join(directory, 'not/yet'))) > 0);
  });
});

describe('util-linux', () => {
  it('blkid: nothing found, something found, too much found, no answer', async () => {
    const signature = (result: Partial<ProcessResult>) =>
      createBlockDevices(programs({ 'blkid --probe': result }).run).signature('/dev/sda');
    assert.equal(await signature({ exitCode: 2 }), undefined);
    assert.equal(
      await signature({ stdout: 'DEVNAME=/dev/sda\nUUID=1\nTYPE=ext4\nUSAGE=filesystem\n' }),
      'ext4',
    );
    assert.equal(await signature({ exitCode: 8 }), 'several signatures');
    await assert.rejects(
      signature({ exitCode: 2, stderr: 'error: /dev/sda: Permission denied' }),
      /Permission denied/,
    );
    await assert.rejects(signature({ exitCode: null }), /blkid/);
  });

  it('blkid: partition tables count too', () => {
    assert.equal(parseSignature('DEVNAME=/dev/sda\nPTUUID=1\nPTTYPE=gpt\n'), 'gpt');
    assert.equal(parseSignature('DEVNAME=/dev/sda\nVERSION=1\n'), 'an unknown signature');
  });

  it('blkid: a blank partition is blank', () => {
    const place = 'DEVNAME=/dev/sda1\nPART_ENTRY_SCHEME=gpt\nPART_ENTRY_UUID=1\nPART_ENTRY_SIZE=2048\n';
    assert.equal(parseSignature(place), undefined);
    assert.equal(parseSignature(`${place}TYPE=xfs\n`), 'xfs');
  });

  it('losetup: only devices that show the whole file', () => {
    const list = (offset: unknown, sizelimit: unknown) =>
      JSON.stringify({ loopdevices: [{ name: '/dev/loop3', sizelimit, offset }] });
    assert.deepEqual(parseLoopList(''), []);
    assert.deepEqual(parseLoopList('{"loopdevices": []}'), []);
    assert.deepEqual(parseLoopList(list(0, 0)), ['/dev/loop3']);
    assert.deepEqual(parseLoopList(list('0', '0')), ['/dev/loop3']);
    assert.deepEqual(parseLoopList(list(4096, 0)), []);
    assert.deepEqual(parseLoopList(list(0, 4096)), []);
    assert.throws(() => parseLoopList('no JSON'), /unreadable output/);
    assert.throws(() => parseLoopList('{}'), /unexpected output/);
  });

  it('losetup: a loop device stays when direct I/O is refused', async () => {
    const { run, lines } = programs({
      'losetup --find --show': { stdout: '/dev/loop7\n' },
      'losetup --direct-io=on': {
        exitCode: 1,
        stderr: 'losetup: /dev/loop7: set direct io failed: Invalid argument',
      },
    });
    assert.equal(await createBlockDevices(run).attachLoop('/pools/p.data'), '/dev/loop7');
    assert.deepEqual(lines, ['losetup --find --show /pools/p.data', 'losetup --direct-io=on /dev/loop7']);
  });
});

describe('sysfs', () => {
  const entry = async (number: string, files: Readonly<Record<string, string>>): Promise<void> => {
    const target = join(directory, 'devices', number);
    for (const [name, text] of Object.entries(files)) {
      await mkdir(join(target, name, '..'), { recursive: true });
      await writeFile(join(target, name), text);
    }
    await mkdir(join(directory, 'dev/block'), { recursive: true });
    await symlink(target, join(directory, 'dev/block', number));
  };

  it('names devices and the files behind loop devices', async () => {
    const devices = createBlockDevices(programs({}).run, directory);
    await entry('7:3', {
      uevent: 'MAJOR=7\nMINOR=3\nDEVNAME=loop3\nDEVTYPE=disk\n',
      'loop/backing_file': '/p/a b.data\n',
    });
    await entry('253:4', { uevent: 'DEVNAME=dm-4\n', 'dm/name': 'vg-data\n' });
    assert.deepEqual(await devices.byNumber('7:3'), { path: '/dev/loop3', backingFile: '/p/a b.data' });
    assert.deepEqual(await devices.byNumber('253:4'), {
      path: '/dev/mapper/vg-data',
      backingFile: undefined,
    });
    assert.equal(await devices.byNumber('8:0'), undefined);
  });
});

describe("a thin pool's superblock", () => {
  it('tells block size and length', () => {
    assert.deepEqual(parseThinSuperblock(thinSuperblock(256, 2 ** 33, 512)), {
      blockSectors: 256,
      dataBlocks: 2 ** 33,
      metadataBlocks: 512,
    });
  });

  it('is not seen in zeroes, in other data or in a piece', () => {
    assert.equal(parseThinSuperblock(Buffer.alloc(4096)), undefined);
    assert.equal(parseThinSuperblock(Buffer.alloc(4096, 1)), undefined);
    assert.equal(parseThinSuperblock(thinSuperblock(128, 1).subarray(0, 4095)), undefined);
  });
});

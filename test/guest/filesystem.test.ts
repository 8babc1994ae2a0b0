/** Making, reading and growing real filesystems. Needs root and loop devices: npm run guest -- node --test ... */
import assert from 'node:assert/strict';
import { mkdtemp, open, readdir, readFile, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DmthinError } from '../../src/base/errors.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { formatBase } from '../../src/filesystem/format-base.ts';
import { growFilesystem } from '../../src/filesystem/grow.ts';
import { readSuperblock } from '../../src/filesystem/superblock.ts';
import { withMount } from '../../src/filesystem/temporary-mount.ts';
import { FS_TYPES, type FsType } from '../../src/filesystem/types.ts';

const MiB = 1024 ** 2;
/** mkfs.xfs makes nothing smaller. */
const SIZE = 320 * MiB;
const GROWN = 480 * MiB;
/** Inodes in use right after formatting: ext, the ten reserved ones; xfs, the root and two for realtime. */
const FRESH: Readonly<Record<FsType, number>> = { ext4: 10, ext2: 10, xfs: 3 };
const FILES = 50;

const run = (program: string, ...args: string[]) => runChecked(runProcess, program, args);

async function kernelHas(fsType: FsType): Promise<boolean> {
  await runProcess('modprobe', [fsType]).catch(() => undefined);
  return (await readFile('/proc/filesystems', 'utf8')).split(/\s+/).includes(fsType);
}

/** Reads every structure without changing any; fails on the first fault. */
async function fsck(fsType: FsType, device: string): Promise<void> {
  if (fsType === 'xfs') await run('xfs_repair', '-n', device);
  else await run('e2fsck', '-f', '-n', device);
}

async function makeFiles(directory: string): Promise<void> {
  for (let index = 0; index < FILES; index += 1)
    await writeFile(join(directory, `${index}`), `content ${index}`);
}

for (const fsType of FS_TYPES) {
  const skip = (await kernelHas(fsType)) ? false : `kernel has no ${fsType}`;

  describe(`${fsType} on a block device`, { skip }, () => {
    let directory: string;
    const attached: string[] = [];

    before(async () => {
      directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), `fs-${fsType}-`));
    });
    after(async () => {
      for (const device of attached) await run('losetup', '--detach', device);
      await rm(directory, { recursive: true });
    });

    const attach = async (image: string): Promise<string> => {
      const device = (await run('losetup', '--find', '--show', image)).trim();
      attached.push(device);
      return device;
    };
    const newImage = async (name: string): Promise<{ image: string; device: string }> => {
      const image = join(directory, name);
      await using file = await open(image, 'wx');
      await file.truncate(SIZE);
      return { image, device: await attach(image) };
    };
    const grow = async (image: string, device: string): Promise<void> => {
      await truncate(image, GROWN);
      await run('losetup', '--set-capacity', device);
      await growFilesystem(runProcess, { devicePath: device, fsType });
    };
    const bytesOf = (device: string): Promise<number> =>
      withMount(runProcess, { devicePath: device, fsType }, async (root) => {
        const { blocks, bsize } = await statfs(root);
        return blocks * bsize;
      });
    const entries = (device: string): Promise<string[]> =>
      withMount(runProcess, { devicePath: device, fsType }, (root) => readdir(root));

    it('starts empty and clean', async () => {
      const { device } = await newImage('empty');
      await formatBase(runProcess, device, { fsType, fsOptions: '' });
      await fsck(fsType, device);
      assert.deepEqual(await entries(device), []);
      assert.equal((await readSuperblock(device)).usedInodes, FRESH[fsType]);
    });

    it('takes mkfs arguments from the user', async () => {
      const { device } = await newImage('options');
      const fsOptions = fsType === 'xfs' ? '-m reflink=0 -L chosen' : '-m 0 -L chosen';
      await formatBase(runProcess, device, { fsType, fsOptions });
      assert.equal((await run('blkid', '-p', '-o', 'value', '-s', 'LABEL', device)).trim(), 'chosen');
      assert.deepEqual(await entries(device), []);
    });

    it('tells mkfs’s own words when it refuses', async () => {
      const { device } = await newImage('refused');
      await assert.rejects(
        formatBase(runProcess, device, { fsType, fsOptions: '-b size=3 -b 3' }),
        (error) => error instanceof DmthinError && /exit code \d+: .+/.test(error.detail.what),
      );
    });

    it('counts its inodes, also while it is mounted and has been read before', async () => {
      const { device } = await newImage('inodes');
      await formatBase(runProcess, device, { fsType, fsOptions: '' });
      await withMount(runProcess, { devicePath: device, fsType }, async (root) => {
        assert.equal((await readSuperblock(device)).usedInodes, FRESH[fsType]);
        await makeFiles(root);
        // As a suspend of the device does.
        await run('fsfreeze', '--freeze', root);
        try {
          assert.equal((await readSuperblock(device)).usedInodes, FRESH[fsType] + FILES);
        } finally {
          await run('fsfreeze', '--unfreeze', root);
        }
      });
      assert.equal((await readSuperblock(device)).usedInodes, FRESH[fsType] + FILES);
    });

    it('grows to the size of its device, keeps its files, and gets no lost+found', async () => {
      const { image, device } = await newImage('grown');
      await formatBase(runProcess, device, { fsType, fsOptions: '' });
      await withMount(runProcess, { devicePath: device, fsType }, makeFiles);
      const before = await bytesOf(device);
      await grow(image, device);
      await fsck(fsType, device);
      assert.ok((await bytesOf(device)) - before > 0.9 * (GROWN - SIZE), 'has grown');
      const names = await entries(device);
      assert.equal(names.length, FILES);
      assert.ok(!names.includes('lost+found'));
    });

    it('grows when it was snapshotted while it was mounted and frozen', async () => {
      const { image, device } = await newImage('frozen');
      await formatBase(runProcess, device, { fsType, fsOptions: '' });
      const copy = join(directory, 'frozen-copy');
      await withMount(runProcess, { devicePath: device, fsType }, async (root) => {
        await makeFiles(root);
        await run('fsfreeze', '--freeze', root);
        try {
          await run('cp', '--sparse=always', image, copy);
        } finally {
          await run('fsfreeze', '--unfreeze', root);
        }
      });
      const copied = await attach(copy);
      await grow(copy, copied);
      await fsck(fsType, copied);
      assert.ok((await bytesOf(copied)) > SIZE, 'has grown');
      assert.equal((await entries(copied)).length, FILES);
    });

    it('is unmounted when the work on it fails', async () => {
      const { device } = await newImage('failed');
      await formatBase(runProcess, device, { fsType, fsOptions: '' });
      let mounted = '';
      await assert.rejects(
        withMount(runProcess, { devicePath: device, fsType }, (root) => {
          mounted = root;
          return Promise.reject(new Error('no luck'));
        }),
        /no luck/,
      );
      assert.ok(!(await readFile('/proc/self/mounts', 'utf8')).includes(device));
      await assert.rejects(readdir(mounted), { code: 'ENOENT' });
    });
  });
}

/**
 * Files, loop devices and disks, as provisioning needs them: the seam between its decisions and the machine.
 * Programs: losetup, blkid and wipefs, all of util-linux.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DmthinError, type ErrorDetail, errnoOf } from '../base/errors.ts';
import { runChecked, type RunProcess } from '../base/process.ts';
import { type Bytes, bytes, sectors, sectorsToBytes } from '../base/units.ts';
import { errnoError } from '../dm/errno.ts';
import { parseLoopList, parseSignature } from './block-devices-output.ts';

export interface PathFacts {
  readonly kind: 'file' | 'block' | 'directory' | 'other';
  readonly sizeBytes: Bytes;
  /** What a file takes on its filesystem; less than its size where it is sparse. */
  readonly allocatedBytes: Bytes;
  /** `major:minor` of a block device, as device-mapper prints it. */
  readonly number: string | undefined;
}

export interface NamedDevice {
  /** Under /dev. */
  readonly path: string;
  /** The file behind a loop device. */
  readonly backingFile: string | undefined;
}

export interface BlockDevices {
  /** @returns undefined when nothing is there. */
  describe(path: string): Promise<PathFacts | undefined>;
  /** A filesystem, another device or LVM holds the block device exclusively. */
  isInUse(device: string): Promise<boolean>;
  /** The devices that stand on the block device of that number, by their paths. */
  holders(number: string): Promise<string[]>;
  /** At most `length` bytes from the start. */
  readStart(path: string, length: number): Promise<Buffer>;
  /** What libblkid finds in low-level probing, for example `ext4` or `gpt`. */
  signature(path: string): Promise<string | undefined>;
  /** Loop devices that show this whole file, from its first byte. */
  loopsOf(file: string): Promise<string[]>;
  /** With direct I/O where the filesystem below can do it, so that pages are not cached twice. @returns the loop device */
  attachLoop(file: string): Promise<string>;
  detachLoop(device: string): Promise<void>;
  /** @returns the topmost directory that had to be made; undefined when all were there. */
  makeDirectory(path: string): Promise<string | undefined>;
  /** Removes the directory and its parents up to `topmost`; each must be empty by then. */
  removeDirectories(path: string, topmost: string): Promise<void>;
  /** Makes a sparse file, for its owner alone, and syncs it. @throws already_exists */
  makeFile(path: string, size: Bytes): Promise<void>;
  /** Makes a file longer, sparsely, and syncs it. @throws invalid_argument when it is that long already */
  growFile(path: string, size: Bytes): Promise<void>;
  /** Lets LVM bring a volume `VG/NAME` into the kernel. @throws unsupported without lvm2; what LVM says. */
  activateLvm(volume: string): Promise<void>;
  /** Lets a loop device take its file's size. */
  refreshLoop(device: string): Promise<void>;
  deleteFile(path: string): Promise<void>;
  /** Erases every signature and zeroes the first 4 KiB. */
  wipe(device: string): Promise<void>;
  /** @returns undefined when the kernel has no device of that number. */
  byNumber(number: string): Promise<NamedDevice | undefined>;
  /** Free space, for root, of the filesystem that holds the path, or will when it is made. */
  freeBytes(path: string): Promise<Bytes>;
}

const WIPED_BYTES = 4096;
/** LVM runs thin_check on the pool's metadata first. */
const LVM_TIMEOUT_MS = 300_000;

/** @param sysfs where sysfs is mounted. */
export function createBlockDevices(run: RunProcess, sysfs = '/sys'): BlockDevices {
  const sysfsText = async (number: string, name: string): Promise<string | undefined> => {
    const text = await readFile(`${sysfs}/dev/block/${number}/${name}`, 'utf8').catch(absentAsUndefined);
    return text?.trimEnd();
  };

  const describe: BlockDevices['describe'] = async (path) => {
    const stats = await stat(path, { bigint: true }).catch(absentAsUndefined);
    if (stats === undefined) return undefined;
    const allocatedBytes = bytes(Number(stats.blocks) * 512);
    if (stats.isBlockDevice()) {
      const number = deviceNumber(stats.rdev);
      const size = Number((await sysfsText(number, 'size')) ?? 0);
      return { kind: 'block', sizeBytes: sectorsToBytes(sectors(size)), allocatedBytes, number };
    }
    const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other';
    return { kind, sizeBytes: bytes(Number(stats.size)), allocatedBytes, number: undefined };
  };

  return {
    describe: (path) => explained('look at', path, () => describe(path)),
    isInUse: (device) =>
      explained('open', device, async () => {
        try {
          // On a block device O_EXCL alone asks for what mounts and device-mapper take (open(2)).
          const handle = await open(device, constants.O_RDONLY | constants.O_EXCL);
          await handle.close();
          return false;
        } catch (error) {
          if (errnoOf(error) === 'EBUSY') return true;
          throw error;
        }
      }),
    holders: (number) =>
      explained('look at', number, async () => {
        const names = (await readdir(`${sysfs}/dev/block/${number}/holders`).catch(absentAsUndefined)) ?? [];
        return Promise.all(
          names.map(async (name) => {
            const path = `${sysfs}/class/block/${name}/dm/name`;
            const dmDevice = (await readFile(path, 'utf8').catch(absentAsUndefined))?.trimEnd();
            return dmDevice === undefined ? `/dev/${name}` : `/dev/mapper/${dmDevice}`;
          }),
        );
      }),
    readStart: (path, length) =>
      explained('read', path, async () => {
        await using handle = await open(path, 'r');
        return await readUpTo(handle, length);
      }),
    async signature(path) {
      // Exit code 2: nothing found; 8: several that exclude each other, which is certainly not blank.
      const { exitCode, stdout, stderr } = await run('blkid', ['--probe', '--output', 'export', path]);
      if (exitCode === 0) return parseSignature(stdout);
      if (exitCode === 8) return 'several signatures';
      if (exitCode === 2 && stderr.trim() === '') return undefined;
      throw new DmthinError('internal', { op: 'blkid', device: path, what: stderr.trim() });
    },
    async loopsOf(file) {
      const args = ['--json', '--list', '--output', 'NAME,OFFSET,SIZELIMIT', '--associated', file];
      return parseLoopList(await runChecked(run, 'losetup', args));
    },
    async attachLoop(file) {
      const device = (await runChecked(run, 'losetup', ['--find', '--show', file])).trim();
      // Refused where the filesystem below has no direct I/O; the loop device then goes on without.
      await run('losetup', ['--direct-io=on', device]);
      return device;
    },
    async detachLoop(device) {
      await runChecked(run, 'losetup', ['--detach', device]);
    },
    makeDirectory: (path) =>
      explained('make directory', path, () => mkdir(path, { recursive: true, mode: 0o700 })),
    removeDirectories: (path, topmost) =>
      explained('remove directory', path, async () => {
        for (let current = path; current.startsWith(topmost); current = dirname(current))
          await rmdir(current);
      }),
    makeFile: (path, size) =>
      explained('make file', path, async () => {
        await using handle = await open(path, 'wx', 0o600);
        try {
          await handle.truncate(size);
          await handle.sync();
          await using directory = await open(dirname(path), 'r');
          await directory.sync();
        } catch (error) {
          await rm(path);
          throw error;
        }
      }),
    growFile: (path, size) =>
      explained('grow file', path, async () => {
        await using handle = await open(path, 'r+');
        const { size: before } = await handle.stat();
        if (before >= size)
          throw new DmthinError('invalid_argument', {
            op: 'grow file',
            device: path,
            what: 'is that long already',
          });
        await handle.truncate(size);
        await handle.sync();
      }),
    async activateLvm(volume) {
      await runChecked(run, 'lvchange', ['--activate', 'y', '--yes', volume], { timeoutMs: LVM_TIMEOUT_MS });
    },
    async refreshLoop(device) {
      await runChecked(run, 'losetup', ['--set-capacity', device]);
    },
    deleteFile: (path) => explained('delete file', path, () => rm(path)),
    async wipe(device) {
      await runChecked(run, 'wipefs', ['--all', '--quiet', device]);
      await explained('wipe', device, async () => {
        await using handle = await open(device, 'r+');
        await handle.write(Buffer.alloc(WIPED_BYTES), 0, WIPED_BYTES, 0);
        await handle.sync();
      });
    },
    async byNumber(number) {
      const name = /^DEVNAME=(.+)$/m.exec((await sysfsText(number, 'uevent')) ?? '')?.[1];
      if (name === undefined) return undefined;
      const dmDevice = await sysfsText(number, 'dm/name');
      return {
        path: dmDevice === undefined ? `/dev/${name}` : `/dev/mapper/${dmDevice}`,
        backingFile: await sysfsText(number, 'loop/backing_file'),
      };
    },
    async freeBytes(path) {
      for (let current = path; ; current = dirname(current)) {
        const found = await explained('look at', current, () => statfs(current).catch(absentAsUndefined));
        if (found !== undefined) return bytes(found.bfree * found.bsize);
      }
    },
  };
}

async function readUpTo(handle: FileHandle, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** `major:minor` from a `dev_t` as glibc packs it (makedev(3)). */
function deviceNumber(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `${major.toString()}:${minor.toString()}`;
}

function absentAsUndefined(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
}

async function explained<T>(op: string, device: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    const detail: ErrorDetail = { op, device, what: 'failed' };
    throw errnoError(errno, detail, error);
  }
}

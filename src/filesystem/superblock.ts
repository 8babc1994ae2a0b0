/** Reading a filesystem's own figures from its superblock, without mounting it. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { DmthinError, errnoOf } from '../base/errors.ts';
import { deviceIo, openDevice } from '../base/open-device.ts';

const OP = 'read superblock';
const HEAD_BYTES = 4096;
const EXT_OFFSET = 1024;
const EXT_MAGIC = 0xef53;
const EXT_ERROR_STATE = 2;
const XFS_MAGIC = 'XFSB';
/** What a direct read wants of its buffer's address, and what malloc gives. */
const DIRECT_ALIGNMENT = 512;
const MALLOC_ALIGNMENT = 16;

export interface SuperblockFacts {
  /** In use, the filesystem's own reserved ones included. Of a mounted filesystem: what the last sync or freeze wrote down. */
  readonly usedInodes: number;
  /** That the filesystem has met and written down, such as a journal that it could not write. Only ext does; fsck sets it back. */
  readonly recordedErrors: number;
}

/** @throws not_found when there is nothing at `path`; internal when the device has no ext2, ext4 or xfs. */
export async function readSuperblock(path: string): Promise<SuperblockFacts> {
  const head = await readHead(path);
  const usedInodes = parseUsedInodes(head);
  if (usedInodes !== undefined) return { usedInodes, recordedErrors: parseRecordedErrors(head) };
  throw new DmthinError('internal', {
    op: OP,
    what: 'the device holds no ext2, ext4 or xfs',
    device: path,
    nextStep: `see what it holds: blkid -p ${path}`,
  });
}

function readHead(path: string): Promise<Buffer> {
  return deviceIo(OP, path, 'the filesystem cannot be read', () => readHeadCached(path));
}

async function readHeadCached(path: string): Promise<Buffer> {
  await using device = await openDevice(OP, path, 'r');
  const head = Buffer.alloc(HEAD_BYTES);
  await device.read(head, 0, HEAD_BYTES, 0);
  // A mounted xfs writes its superblock past the block device's page cache, where what was read before stays. ext does not.
  return isXfs(head) && (await device.stat()).isBlockDevice() ? await readHeadUncached(path) : head;
}

async function readHeadUncached(path: string): Promise<Buffer> {
  await using device = await open(path, constants.O_RDONLY | constants.O_DIRECT);
  const room = Buffer.allocUnsafeSlow(HEAD_BYTES + DIRECT_ALIGNMENT);
  for (let shift = 0; shift < DIRECT_ALIGNMENT; shift += MALLOC_ALIGNMENT) {
    const head = room.subarray(shift, shift + HEAD_BYTES);
    if (await readAligned(device, head)) return head;
  }
  throw new DmthinError('internal', {
    op: OP,
    what: 'no direct read is possible',
    device: path,
  });
}

/** @returns false when the kernel does not like the buffer's address, which Node does not tell. */
async function readAligned(device: FileHandle, head: Buffer): Promise<boolean> {
  try {
    await device.read(head, 0, head.length, 0);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') return false;
    throw error;
  }
}

function isXfs(head: Buffer): boolean {
  return head.toString('latin1', 0, XFS_MAGIC.length) === XFS_MAGIC;
}

/**
 * Layouts: ext, kernel Documentation/filesystems/ext4/super.rst (little-endian, at byte 1024); xfs, xfs_format.h
 * (big-endian, at byte 0).
 * @param head the device's first 4 KiB. @returns undefined for any other content.
 */
export function parseUsedInodes(head: Buffer): number | undefined {
  if (isXfs(head)) {
    return Number(head.readBigUInt64BE(128) - head.readBigUInt64BE(136));
  }
  const ext = head.subarray(EXT_OFFSET);
  if (ext.readUInt16LE(56) === EXT_MAGIC) return ext.readUInt32LE(0) - ext.readUInt32LE(16);
  return undefined;
}

/** ext: s_state at byte 58, whose bit 2 says that there were errors, and s_error_count at byte 404. */
export function parseRecordedErrors(head: Buffer): number {
  const ext = head.subarray(EXT_OFFSET);
  if (isXfs(head) || ext.readUInt16LE(56) !== EXT_MAGIC) return 0;
  const hadErrors = (ext.readUInt16LE(58) & EXT_ERROR_STATE) !== 0;
  return Math.max(ext.readUInt32LE(404), hadErrors ? 1 : 0);
}

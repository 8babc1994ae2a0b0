/** Reading a filesystem's own figures from its superblock, without mounting it. */
import { open } from 'node:fs/promises';
import { DmthinError } from '../base/errors.ts';

const HEAD_BYTES = 4096;
const EXT_OFFSET = 1024;
const EXT_MAGIC = 0xef53;

/**
 * Inodes in use on the device at `path`, the filesystem's own reserved ones included. Of a mounted filesystem it is what
 * the last sync or freeze wrote down.
 * @throws internal when the device has no ext2, ext4 or xfs.
 */
export async function readUsedInodes(path: string): Promise<number> {
  const head = Buffer.alloc(HEAD_BYTES);
  const device = await open(path, 'r');
  try {
    await device.read(head, 0, HEAD_BYTES, 0);
  } finally {
    await device.close();
  }
  const used = parseUsedInodes(head);
  if (used !== undefined) return used;
  throw new DmthinError('internal', {
    op: 'read superblock',
    what: 'the device holds no ext2, ext4 or xfs',
    device: path,
    nextStep: `see what it holds: blkid -p ${path}`,
  });
}

/**
 * Layouts: ext, kernel Documentation/filesystems/ext4/super.rst (little-endian, at byte 1024); xfs, xfs_format.h
 * (big-endian, at byte 0).
 * @param head the device's first 4 KiB. @returns undefined for any other content.
 */
export function parseUsedInodes(head: Buffer): number | undefined {
  if (head.subarray(0, 4).toString('latin1') === 'XFSB') {
    return Number(head.readBigUInt64BE(128) - head.readBigUInt64BE(136));
  }
  const ext = head.subarray(EXT_OFFSET);
  if (ext.readUInt16LE(56) === EXT_MAGIC) return ext.readUInt32LE(0) - ext.readUInt32LE(16);
  return undefined;
}

/** Opening a device's node. */
import { type FileHandle, open } from 'node:fs/promises';
import { DmthinError } from './errors.ts';

/** open(2) with `flags`. @throws not_found when there is nothing at `path`; anything else as Node reports it. */
export async function openDevice(op: string, path: string, flags: string | number): Promise<FileHandle> {
  try {
    return await open(path, flags);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    throw new DmthinError(
      'not_found',
      { op, what: 'there is no such device', device: path, errno: 'ENOENT' },
      error,
    );
  }
}

/** Opening a device's node, and what a device answers when it is read or flushed. */
import { type FileHandle, open } from 'node:fs/promises';
import { DmthinError } from './errors.ts';

/** What open(2) says where there is no node, and where a node's device has just gone. */
const ABSENT: readonly string[] = ['ENOENT', 'ENXIO', 'ENODEV'];

/** open(2) with `flags`. @throws not_found when there is nothing at `path`; anything else as Node reports it. */
export async function openDevice(op: string, path: string, flags: string | number): Promise<FileHandle> {
  try {
    return await open(path, flags);
  } catch (error) {
    const errno = systemErrno(error);
    if (errno === undefined || !ABSENT.includes(errno)) throw error;
    throw new DmthinError('not_found', { op, what: 'there is no such device', device: path, errno }, error);
  }
}

/**
 * Runs `body`, which reads, writes or flushes the device at `path`.
 * @param consequence what follows from a failure, as a clause. @throws internal with the errno; our own errors as they are.
 */
export async function deviceIo<T>(
  op: string,
  path: string,
  consequence: string,
  body: () => Promise<T>,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    const errno = systemErrno(error);
    if (errno === undefined) throw error;
    throw new DmthinError(
      'internal',
      { op, what: consequence, device: path, errno, nextStep: 'the kernel log has the reason: dmesg' },
      error,
    );
  }
}

function systemErrno(error: unknown): string | undefined {
  return error instanceof Error && 'errno' in error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

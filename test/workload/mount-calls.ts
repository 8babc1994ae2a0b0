/** mount(2) and umount2(2) without a process for each: a workload mounts hundreds of times. */
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi, { type KoffiFunc } from 'koffi';
import { errnoName } from '../../src/dm/errno.ts';
import type { Mount } from '../../src/snapshotter/snapshotter.ts';

const MS_RDONLY = 1;

const libc = koffi.load(null);
const mountCall = libc.func(
  'int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)',
);
const umountCall = libc.func('int umount2(const char *target, int flags)');

/** A system call on a thread of libuv's pool. @throws Error with the errno's name. */
function call(
  what: string,
  func: KoffiFunc<(...args: unknown[]) => number>,
  ...args: readonly unknown[]
): Promise<void> {
  return new Promise((resolve, reject) => {
    func.async(...args, (error: unknown, result) => {
      const errno = koffi.errno();
      if (error instanceof Error) reject(error);
      else if (result === 0) resolve();
      else reject(new Error(`${what}: ${errnoName(errno)}`));
    });
  });
}

export async function mountAt(mount: Mount, directory: string): Promise<void> {
  const readOnly = mount.options.includes('ro');
  const data = mount.options.filter((option) => option !== 'ro' && option !== 'rw').join(',');
  const what = `mount ${mount.source} (${mount.type})`;
  await call(what, mountCall, mount.source, directory, mount.type, readOnly ? MS_RDONLY : 0, data);
}

export async function unmount(directory: string): Promise<void> {
  await call(`unmount ${directory}`, umountCall, directory, 0);
}

/** Mounts what the snapshotter answered for the time of `body`. */
export async function withMount<T>(
  mounts: readonly Mount[],
  body: (directory: string) => Promise<T>,
): Promise<T> {
  const [mount] = mounts;
  if (mount === undefined) throw new Error('no mount');
  const directory = await mkdtemp(join(tmpdir(), 'mounted-'));
  try {
    await mountAt(mount, directory);
    try {
      return await body(directory);
    } finally {
      await unmount(directory);
    }
  } finally {
    await rmdir(directory);
  }
}

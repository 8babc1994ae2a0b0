/** A mount that lasts for one piece of work. */
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChecked, type RunProcess } from '../base/process.ts';
import type { FsType } from './types.ts';

/** Mounts the device, runs `body` with the directory, and unmounts on every path. */
export async function withMount<T>(
  run: RunProcess,
  device: { readonly devicePath: string; readonly fsType: FsType },
  body: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'dmthin-mount-'));
  try {
    // Snapshots of one xfs share its uuid, which the kernel refuses to mount twice.
    const options = device.fsType === 'xfs' ? ['-o', 'nouuid'] : [];
    await runChecked(run, 'mount', ['-t', device.fsType, ...options, device.devicePath, directory]);
    try {
      return await body(directory);
    } finally {
      await runChecked(run, 'umount', [directory]);
    }
  } finally {
    await rmdir(directory);
  }
}

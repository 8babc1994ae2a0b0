/** Making the filesystem that parentless snapshots start with. */
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runChecked, type RunProcess } from '../base/process.ts';
import { withMount } from './temporary-mount.ts';
import type { FsType } from './types.ts';

export interface FormatSpec {
  readonly fsType: FsType;
  /** What the user configured; '' for our defaults. See {@link mkfsArguments}. */
  readonly fsOptions: string;
  /** Where the mount point for a moment is made; see {@link withMount}. */
  readonly under?: string | undefined;
}

/** A cloud disk can take its time over the inode tables of a large device (containerd #6119). */
const MKFS_TIMEOUT_MS = 10 * 60_000;

/** Nothing is discarded or zeroed ahead on a device that has no blocks yet; nothing is left to do lazily after it. */
const DEFAULTS: Readonly<Record<FsType, readonly string[]>> = {
  ext4: ['-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0'],
  ext2: ['-E', 'nodiscard'],
  xfs: ['-K'],
};

/**
 * Arguments of mkfs.TYPE without the device. Options that begin with a dash are mkfs's own, separated by spaces, for
 * every filesystem. Others are extended options for `-E`, as in the original, which ignores them for xfs.
 */
export function mkfsArguments({ fsType, fsOptions }: FormatSpec): readonly string[] {
  const options = fsOptions.trim();
  if (options.startsWith('-')) return options.split(/\s+/);
  if (options === '' || fsType === 'xfs') return DEFAULTS[fsType];
  return ['-E', options];
}

/**
 * Formats the device at `devicePath` and removes lost+found, so that an image's root is as empty as its layers say.
 * @throws internal with mkfs's own words; unsupported when mkfs is not installed.
 */
export async function formatBase(run: RunProcess, devicePath: string, spec: FormatSpec): Promise<void> {
  const { fsType, under } = spec;
  await runChecked(run, `mkfs.${fsType}`, [...mkfsArguments(spec), devicePath], {
    timeoutMs: MKFS_TIMEOUT_MS,
  });
  if (fsType === 'xfs') return;
  await withMount(run, { devicePath, fsType, under }, (directory) => rmdir(join(directory, 'lost+found')));
}

/** Growing a filesystem to the size of its device. */
import { runChecked, type RunProcess } from '../base/process.ts';
import { type MountSource, withMount } from './temporary-mount.ts';

const TIMEOUT_MS = 10 * 60_000;

/**
 * Grows the filesystem on an unmounted device. ext4 and xfs grow mounted: the mount replays a journal that was frozen
 * rather than unmounted, and no full check is asked for first. ext2 has no journal and grows unmounted; the check that
 * resize2fs wants first would put lost+found back, and what we made snapshots of was flushed whole.
 */
export async function growFilesystem(run: RunProcess, device: MountSource): Promise<void> {
  const { devicePath, fsType } = device;
  switch (fsType) {
    case 'ext4':
      await withMount(run, device, () =>
        runChecked(run, 'resize2fs', [devicePath], { timeoutMs: TIMEOUT_MS }),
      );
      return;
    case 'xfs':
      await withMount(run, device, (directory) =>
        runChecked(run, 'xfs_growfs', ['-d', directory], { timeoutMs: TIMEOUT_MS }),
      );
      return;
    case 'ext2':
      await runChecked(run, 'resize2fs', ['-f', devicePath], { timeoutMs: TIMEOUT_MS });
      return;
    default:
      fsType satisfies never;
  }
}

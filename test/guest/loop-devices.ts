/** Loop devices over sparse files, for tests that need disks. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChecked, runProcess } from '../../src/base/process.ts';

export interface LoopDevices extends AsyncDisposable {
  /** A new device of `sizeBytes` zeros, in a file of that name. @returns its path, /dev/loopN. */
  attach(sizeBytes: number, fileName?: string): Promise<string>;
  /** The file behind a device of ours. */
  fileOf(device: string): string;
}

/** @param below where the files lie; all devices are detached and all files removed at the end. */
export async function createLoopDevices(
  below = process.env['DMTHIN_DISK'] ?? tmpdir(),
): Promise<LoopDevices> {
  const directory = await mkdtemp(join(below, 'loop-'));
  const files = new Map<string, string>();
  return {
    async attach(sizeBytes, fileName = `${files.size}.img`) {
      const path = join(directory, fileName);
      await using file = await open(path, 'wx');
      await file.truncate(sizeBytes);
      const device = (await runChecked(runProcess, 'losetup', ['--find', '--show', path])).trim();
      files.set(device, path);
      return device;
    },
    fileOf(device) {
      const path = files.get(device);
      if (path === undefined) throw new Error(`${device} is not ours`);
      return path;
    },
    async [Symbol.asyncDispose]() {
      for (const device of files.keys()) await runChecked(runProcess, 'losetup', ['--detach', device]);
      await rm(directory, { recursive: true });
    },
  };
}

/** Loop devices over sparse files, for tests that need disks. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChecked, runProcess } from '../../src/base/process.ts';

export interface LoopDevices extends AsyncDisposable {
  /** A new device of `sizeBytes` zeros. @returns its path, /dev/loopN. */
  attach(sizeBytes: number): Promise<string>;
}

/** The files lie below DMTHIN_DISK where that is set. All devices are detached and all files removed at the end. */
export async function createLoopDevices(): Promise<LoopDevices> {
  const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'loop-'));
  const devices: string[] = [];
  return {
    async attach(sizeBytes) {
      const path = join(directory, `${devices.length}.img`);
      await using file = await open(path, 'wx');
      await file.truncate(sizeBytes);
      const device = (await runChecked(runProcess, 'losetup', ['--find', '--show', path])).trim();
      devices.push(device);
      return device;
    },
    async [Symbol.asyncDispose]() {
      for (const device of devices) await runChecked(runProcess, 'losetup', ['--detach', device]);
      await rm(directory, { recursive: true });
    },
  };
}

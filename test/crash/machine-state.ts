/** What the machine has besides devices: mounts, loop devices, entries in /dev/mapper. Read, not asked of a program. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface MountedAt {
  readonly source: string;
  readonly directory: string;
}

export async function readMounts(): Promise<MountedAt[]> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  return lines
    .map((line) => line.split(' '))
    .map(([source = '', directory = '']) => ({ source, directory }))
    .filter(({ source }) => source !== '');
}

/** Loop devices in use, with the file behind each. */
export async function readLoops(): Promise<string[]> {
  const names = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const loops = await Promise.all(
    names.map(async (name) => {
      const file = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => undefined);
      return file === undefined ? [] : [`${name} ${file.trim()}`];
    }),
  );
  return loops.flat().sort();
}

export async function readMapperEntries(prefix: string): Promise<string[]> {
  return (await readdir('/dev/mapper')).filter((name) => name.startsWith(prefix)).sort();
}

/** Mount points that the daemon made for a piece of work, below its state directory. */
export async function readTemporaryMountPoints(rootPath: string): Promise<string[]> {
  return readdir(join(rootPath, 'mounts')).catch(() => []);
}

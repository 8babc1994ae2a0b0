/** What the machine has besides devices: mounts, loop devices, entries in /dev/mapper. Read, not asked of a program. */
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';

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

/** Directories of dmthin's own temporary mounts. */
export async function readTemporaryMountPoints(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith('dmthin-'));
}

/**
 * Mounts that last for one piece of work. They lie in one directory of dmthin's own, so that one that a crash left behind
 * can be told from all others and taken away.
 */
import { mkdir, mkdtemp, readdir, readFile, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoOf, hasCode } from '../base/errors.ts';
import { type Mounted, parseMountinfo } from '../base/mountinfo.ts';
import { runChecked, type RunProcess } from '../base/process.ts';
import type { FsType } from './types.ts';

export interface MountSource {
  readonly devicePath: string;
  readonly fsType: FsType;
  /** Where the mount point is made; default: the system's temporary directory. */
  readonly under?: string | undefined;
}

/** Mounts the device, runs `body` with the directory, and unmounts on every path. */
export async function withMount<T>(
  run: RunProcess,
  { devicePath, fsType, under = tmpdir() }: MountSource,
  body: (directory: string) => Promise<T>,
): Promise<T> {
  await mkdir(under, { recursive: true, mode: 0o700 });
  const directory = await mkdtemp(join(under, 'dmthin-mount-'));
  try {
    // Snapshots of one xfs share its uuid, which the kernel refuses to mount twice.
    const options = fsType === 'xfs' ? ['-o', 'nouuid'] : [];
    await runChecked(run, 'mount', ['-t', fsType, ...options, devicePath, directory]);
    try {
      return await body(directory);
    } finally {
      await runChecked(run, 'umount', [directory]);
    }
  } finally {
    await rmdir(directory);
  }
}

export type StrayMount = Pick<Mounted, 'directory' | 'source'>;

/** What is mounted below `under` now; while a {@link withMount} is at work there, its mount too. */
export async function listMounts(under: string, mountinfo = '/proc/self/mountinfo'): Promise<StrayMount[]> {
  const text = await readFile(mountinfo, 'utf8');
  return parseMountinfo(text)
    .filter(({ directory }) => directory.startsWith(`${under}/`))
    .map(({ directory, source }) => ({ directory, source }));
}

/** Unmounts what is mounted on `directory` and removes the directory. */
export async function releaseMount(run: RunProcess, directory: string): Promise<void> {
  await runChecked(run, 'umount', [directory]);
  await rmdir(directory);
}

/**
 * Takes everything away that a crash left below `under`. Only while nobody is at work there: at start, under the store's lock.
 * @returns what could not be taken away, in words.
 */
export async function releaseAllMounts(run: RunProcess, under: string): Promise<string[]> {
  const problems: string[] = [];
  for (const { directory, source } of await listMounts(under)) {
    try {
      await releaseMount(run, directory);
    } catch (error) {
      if (!hasCode(error, 'internal', 'deadline_exceeded')) throw error;
      problems.push(`${source} stays mounted on ${directory}: ${error.message}`);
    }
  }
  const mounted = new Set((await listMounts(under)).map(({ directory }) => directory));
  for (const name of await namesIn(under)) {
    if (!mounted.has(join(under, name))) await rmdir(join(under, name));
  }
  return problems;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

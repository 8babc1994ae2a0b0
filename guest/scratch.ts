/** The one host directory that a run may write: settings, console log, disks, and the files that the guest sees. */
import { mkdir, mkdtemp, open, readFile, realpath, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DmthinError } from '../src/base/errors.ts';
import { runChecked, type RunProcess } from '../src/base/process.ts';
import type { Bytes } from '../src/base/units.ts';
import type { ExtraDisk } from './options.ts';

export interface Scratch extends AsyncDisposable {
  readonly path: string;
  /** What the guest sees as GUEST_SCRATCH. */
  readonly files: string;
  /** Where the kernel keeps its own sockets and pid file. */
  readonly state: string;
  readonly consoleLog: string;
  readonly settings: string;
  readonly init: string;
}

/** @param keep leave it behind when disposed of. */
export async function createScratch(keep: boolean): Promise<Scratch> {
  const path = await mkdtemp(join(await realpath(tmpdir()), 'dmthin-guest-'));
  // It travels on the kernel's command line, where none of this can be quoted.
  if (!/^[\w./+-]+$/.test(path)) {
    await rm(path, { recursive: true });
    throw new DmthinError('invalid_argument', {
      op: 'guest scratch directory',
      what: `${path} has characters other than letters, digits and . _ / + -`,
      nextStep: 'set TMPDIR to a plain path',
    });
  }
  const [files, state] = [join(path, 'files'), join(path, 'uml')];
  await Promise.all([mkdir(files), mkdir(state)]);
  return {
    path,
    files,
    state,
    consoleLog: join(path, 'console.log'),
    settings: join(path, 'settings.sh'),
    init: join(path, 'init.sh'),
    async [Symbol.asyncDispose]() {
      if (!keep) await rm(path, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** Makes the sparse, freshly formatted ext4 file behind GUEST_DISK. */
export async function createDisk(path: string, sizeBytes: Bytes, run: RunProcess): Promise<void> {
  await createSparse(path, sizeBytes);
  // Nothing may be initialised in the background later: it would disturb measurements. The file reads as zeros.
  const lazy = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0';
  await runChecked(run, '/sbin/mkfs.ext4', ['-q', '-F', '-m', '0', '-i', '65536', '-E', lazy, path]);
}

/** The host file behind an extra disk: the caller's own, or a fresh sparse one in `scratch`. */
export async function createExtraDisk(scratch: Scratch, disk: ExtraDisk): Promise<string> {
  if ('path' in disk) return disk.path;
  const path = join(scratch.path, `${disk.name}.img`);
  await createSparse(path, disk.sizeBytes);
  return path;
}

async function createSparse(path: string, sizeBytes: Bytes): Promise<void> {
  await writeFile(path, '', { flag: 'wx' });
  await using file = await open(path, 'r+');
  await file.truncate(sizeBytes);
}

/**
 * Where the guest's memory lies: a file that the kernel maps executable and unlinks at once. /dev/shm when it is big
 * enough (in a container it often is not, and the guest would die of SIGBUS) and not noexec; else `fallback`.
 */
export async function memoryDirectory(memoryBytes: number, fallback: string): Promise<string> {
  const shm = '/dev/shm';
  try {
    const [stat, mounts] = await Promise.all([statfs(shm), readFile('/proc/self/mounts', 'utf8')]);
    const options = mounts
      .split('\n')
      .map((line) => line.split(' '))
      .findLast((fields) => fields[1] === shm)?.[3];
    const roomy = stat.bavail * stat.bsize >= memoryBytes;
    return roomy && options?.split(',').includes('noexec') === false ? shm : fallback;
  } catch {
    return fallback;
  }
}

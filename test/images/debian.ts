/** The Debian root filesystem that the several-layer image stands on. */
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { directory, file, type LayerEntry, LAYER_TIME, symlink, whiteout } from './entries.ts';

const SUITE = 'bookworm';
/** Documentation and translations are two fifths of the files and test nothing that the rest does not. */
const EXCLUDED = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*'];
const BUILD_TIMEOUT_MS = 15 * 60_000;

function recipe(target: string, mirror: string | undefined): string[] {
  return [
    '--quiet',
    // Root, user namespace or fakechroot: whatever this machine and user can do.
    '--mode=auto',
    '--variant=minbase',
    '--format=tar',
    '--dpkgopt=force-unsafe-io',
    ...EXCLUDED.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    SUITE,
    target,
    ...(mirror === undefined ? [] : [mirror]),
  ];
}

/** @returns the path of the root filesystem's tar archive, built when `cacheDirectory` does not have it yet. */
export async function ensureDebianTar(cacheDirectory: string): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify([recipe('', undefined), process.arch]))
    .digest('hex');
  const path = join(cacheDirectory, `debian-${key.slice(0, 16)}.tar`);
  if (await exists(path)) return path;
  await mkdir(cacheDirectory, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  try {
    await runChecked(runProcess, 'mmdebstrap', recipe(unfinished, await mirrorOfThisMachine()), {
      timeoutMs: BUILD_TIMEOUT_MS,
      env: { SOURCE_DATE_EPOCH: String(LAYER_TIME) },
    });
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
  return path;
}

/** The mirror that this machine's own apt uses for the suite; undefined: mmdebstrap's default. */
async function mirrorOfThisMachine(): Promise<string | undefined> {
  const targets = await runChecked(runProcess, 'apt-get', [
    'indextargets',
    '--format',
    '$(RELEASE) $(COMPONENT) $(REPO_URI)',
    'Identifier: Packages',
  ]);
  const line = targets.split('\n').find((text) => text.startsWith(`${SUITE} main `));
  return line?.split(' ')[2];
}

/** What the image changes in Debian's own files; the bytes are those of {@link ensureDebianTar}'s archive. */
export function debianLayer(): LayerEntry[] {
  return [
    file('etc/issue', 'changed by a layer\n', { mode: 0o640, gid: 4 }),
    whiteout('etc/issue.net'),
    whiteout('usr/share/common-licenses'),
    whiteout('usr/bin/chfn'),
    directory('var/tmp', { mode: 0o1770, gid: 50 }),
    // Debian's /bin is a symlink: the entry lands in /usr/bin.
    file('bin/through-a-symlink', '#!/bin/sh\necho through a symlink\n', { mode: 0o755 }),
    symlink('etc/localtime', '/usr/share/zoneinfo/Europe/Paris'),
  ];
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The static busybox of this machine: hello-world's only program. */
export function readBusybox(): Promise<Buffer> {
  return readFile('/bin/busybox');
}

/** The Debian packages that the test machine and what runs in it need, by purpose, and how to get them. */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { DmthinError, hasCode } from '../src/base/errors.ts';
import { runChecked, type RunProcess } from '../src/base/process.ts';

/** Package and the program for whose sake it is wanted: that program is looked for, whoever installed it. */
const GUEST = {
  'user-mode-linux': 'linux.uml',
  'busybox-static': 'busybox',
  e2fsprogs: 'mkfs.ext4',
} as const;
const FAST_KERNEL = { patchelf: 'patchelf' } as const;
const POOL = {
  dmsetup: 'dmsetup',
  'thin-provisioning-tools': 'thin_ls',
  e2fsprogs: 'mkfs.ext4',
  xfsprogs: 'mkfs.xfs',
  kmod: 'modprobe',
  lvm2: 'lvm',
  strace: 'strace',
  udev: 'udevadm',
} as const;
const PACKAGE = { dpkg: 'dpkg-deb', systemd: 'systemctl' } as const;
const CONTAINERD = {
  containerd: 'containerd',
  runc: 'runc',
  'docker-registry': 'docker-registry',
  iproute2: 'ip',
} as const;
const IMAGES = { umoci: 'umoci', skopeo: 'skopeo', mmdebstrap: 'mmdebstrap' } as const;

const BY_PURPOSE: Readonly<Record<Purpose, Readonly<Record<string, string>>>> = {
  guest: GUEST,
  'fast-kernel': FAST_KERNEL,
  pool: POOL,
  package: PACKAGE,
  containerd: CONTAINERD,
  images: IMAGES,
};

/**
 * guest: the machine itself. fast-kernel: making the newer kernel run here. pool: tests of the daemon. package: building and
 * installing the Debian package. containerd: end to end. images: building images for it.
 */
export type Purpose = 'guest' | 'fast-kernel' | 'pool' | 'package' | 'containerd' | 'images';

const DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** Exists exactly where systemd runs: sd_booted(3). */
const SYSTEMD = '/run/systemd/system';
/** Started by their packages' installation; the tests start their own, with their own settings. */
const SERVICES = ['containerd', 'docker-registry'];
const INSTALL_TIMEOUT_MS = 10 * 60 * 1000;

/** The packages for `purposes`, whether they are there or not, sorted. Pure. */
export function packagesFor(purposes: readonly Purpose[]): string[] {
  return [...new Set(purposes.flatMap((purpose) => Object.keys(BY_PURPOSE[purpose])))].sort();
}

/** Those of {@link packagesFor} whose program is in none of `directories`. */
export async function missingPackages(
  purposes: readonly Purpose[],
  directories: readonly string[],
): Promise<string[]> {
  const programs = new Map(purposes.flatMap((purpose) => Object.entries(BY_PURPOSE[purpose])));
  const missing = await Promise.all(
    [...programs].map(async ([name, program]) => ((await isIn(program, directories)) ? [] : [name])),
  );
  return missing.flat().sort();
}

/** The line that installs `packages`. `--no-remove`: never at the price of another package, such as Docker's. */
export function installLine(packages: readonly string[]): string {
  return `apt-get install --yes --no-install-recommends --no-remove ${packages.join(' ')}`;
}

/** The machine that packages are installed on. */
export interface Machine {
  readonly run: RunProcess;
  /** A line for the person at the terminal. */
  readonly say: (line: string) => void;
  /** Where programs are looked for. */
  readonly directories: readonly string[];
  readonly isRoot: boolean;
  readonly hasSystemd: boolean;
}

/** This machine. */
export async function thisMachine(run: RunProcess, say: (line: string) => void): Promise<Machine> {
  const hasSystemd = await isReadable(SYSTEMD);
  return { run, say, directories: DIRECTORIES, isRoot: process.geteuid?.() === 0, hasSystemd };
}

/**
 * Installs what is missing, as root or through `sudo -n`. Services that come with it are neither started nor enabled.
 * @throws unsupported with the line to run, when this user may not install or apt-get fails; cancelled.
 */
export async function ensurePackages(purposes: readonly Purpose[], machine: Machine): Promise<void> {
  const missing = await missingPackages(purposes, machine.directories);
  if (missing.length === 0) return;
  const privilege = await findPrivilege(machine);
  if (privilege === undefined) throw notInstalled(missing);
  machine.say(`installing ${missing.join(' ')}`);
  try {
    await install(missing, privilege, machine);
  } catch (error) {
    if (hasCode(error, 'cancelled')) throw error;
    throw notInstalled(missing, error);
  }
}

/** What to put before a command to run it as root; undefined when this user may not. */
async function findPrivilege({ isRoot, run }: Machine): Promise<string[] | undefined> {
  if (isRoot) return [];
  const sudo = await run('sudo', ['-n', 'true']).catch(() => undefined);
  return sudo?.exitCode === 0 ? ['sudo', '-n'] : undefined;
}

async function install(
  packages: readonly string[],
  privilege: readonly string[],
  { run, hasSystemd }: Machine,
): Promise<void> {
  const asRoot = (...words: readonly string[]): Promise<string> => {
    const [program = '', ...args] = [...privilege, 'env', 'DEBIAN_FRONTEND=noninteractive', ...words];
    return runChecked(run, program, args, { timeoutMs: INSTALL_TIMEOUT_MS });
  };
  const apt = (): Promise<string> => asRoot(...installLine(packages).split(' '));
  const services = hasSystemd ? SERVICES.filter((service) => packages.includes(service)) : [];
  // A masked unit is not started by its package. (Without systemd, invoke-rc.d starts nothing.)
  for (const service of services) await asRoot('systemctl', 'mask', '--runtime', service);
  try {
    // A fresh machine has no package lists yet, an old one has outdated ones.
    await apt().catch(async () => {
      await asRoot('apt-get', 'update');
      await apt();
    });
  } finally {
    for (const service of services) await asRoot('systemctl', 'unmask', '--runtime', service);
  }
  for (const service of services) await asRoot('systemctl', 'disable', service);
}

function notInstalled(packages: readonly string[], cause?: unknown): DmthinError {
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  return new DmthinError(
    'unsupported',
    {
      op: 'required packages',
      what: `missing: ${packages.join(' ')}${reason}`,
      nextStep: `sudo apt-get update && sudo ${installLine(packages)}`,
    },
    cause,
  );
}

async function isIn(program: string, directories: readonly string[]): Promise<boolean> {
  const found = await Promise.all(directories.map((dir) => isReadable(join(dir, program))));
  return found.includes(true);
}

function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

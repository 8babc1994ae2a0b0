/** Finds the kernel to boot, with the modules that belong to it. */
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DmthinError } from '../src/base/errors.ts';
import { runChecked, type RunProcess } from '../src/base/process.ts';
import { loadOrder, WANTED_MODULES } from './modules.ts';

/** Where Debian's package user-mode-linux puts its kernel. */
export const DISTRIBUTION_KERNEL = '/usr/bin/linux.uml';

export interface GuestKernel {
  readonly path: string;
  /** Kernel release, for example 6.1.176. */
  readonly release: string;
  /** Absolute paths, in the order of loading. */
  readonly modules: readonly string[];
  /** Command-line parameters that this kernel wants. */
  readonly parameters: readonly string[];
}

/**
 * Asks the kernel at `path` for its release and looks its modules up in ../lib/uml/modules/RELEASE, where Debian's
 * package has them; a kernel without that directory has everything built in.
 * @throws unsupported when it is not there, does not start here, or lacks a wanted module.
 */
export async function describeKernel(path: string, run: RunProcess): Promise<GuestKernel> {
  const op = 'guest kernel';
  try {
    await access(path);
  } catch (error) {
    const nextStep = 'install the package user-mode-linux, or choose a kernel with DMTHIN_GUEST_KERNEL';
    throw new DmthinError('unsupported', { op, what: `${path} is not there`, nextStep }, error);
  }
  const release = (await runChecked(run, path, ['--version'], { timeoutMs: 10_000 })).trim();
  const directory = join(dirname(dirname(path)), 'lib/uml/modules', release);
  const [dep, builtin] = await Promise.all([
    readFile(join(directory, 'modules.dep'), 'utf8').catch(() => undefined),
    readFile(join(directory, 'modules.builtin'), 'utf8').catch(() => ''),
  ]);
  const files = dep === undefined ? [] : loadOrder(dep, builtin, WANTED_MODULES);
  return {
    path,
    release,
    modules: files.map((file) => join(directory, file)),
    parameters: kernelParameters(release),
  };
}

/**
 * Since 6.16 the kernel can run its processes under seccomp instead of ptrace, several times faster; `auto` is ptrace
 * where the host has no seccomp. It does not shield the kernel from its processes: ours are trusted.
 */
export function kernelParameters(release: string): string[] {
  const [major, minor] = release.split('.').map(Number);
  if (major === undefined || minor === undefined) return [];
  return major > 6 || (major === 6 && minor >= 16) ? ['seccomp=auto'] : [];
}

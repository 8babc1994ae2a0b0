/** Finds the kernel to boot, with the modules that belong to it. */
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DmthinError } from '../src/base/errors.ts';
import { runChecked, type RunProcess } from '../src/base/process.ts';
import { loadOrder, WANTED_MODULES } from './modules.ts';
import type { KernelChoice } from './options.ts';

/** Where Debian's package user-mode-linux puts its kernel. */
const DISTRIBUTION_KERNEL = '/usr/bin/linux.uml';

export interface GuestKernel {
  readonly path: string;
  /** Kernel release, for example 6.1.176. */
  readonly release: string;
  /** Absolute paths, in the order of loading. */
  readonly modules: readonly string[];
  /** Command-line parameters that this kernel wants. */
  readonly parameters: readonly string[];
}

/** @throws unsupported when the chosen kernel is not there, does not start, or lacks a module. */
export async function findKernel(choice: KernelChoice, run: RunProcess): Promise<GuestKernel> {
  return describeKernel(choice.kind === 'file' ? choice.path : DISTRIBUTION_KERNEL, run);
}

/**
 * Asks the kernel at `path` for its release and looks its modules up in ../lib/uml/modules/RELEASE, where Debian's
 * package has them; a kernel without that directory has everything built in.
 */
export async function describeKernel(path: string, run: RunProcess): Promise<GuestKernel> {
  try {
    await access(path);
  } catch (error) {
    throw new DmthinError(
      'unsupported',
      { op: 'guest kernel', what: `${path} is not there`, nextStep: 'install user-mode-linux' },
      error,
    );
  }
  const release = (await runChecked(run, path, ['--version'], { timeoutMs: 10_000 })).trim();
  const directory = join(dirname(dirname(path)), 'lib/uml/modules', release);
  const [dep, builtin] = await Promise.all([
    readFile(join(directory, 'modules.dep'), 'utf8').catch(() => undefined),
    readFile(join(directory, 'modules.builtin'), 'utf8').catch(() => ''),
  ]);
  const files = dep === undefined ? [] : loadOrder(dep, builtin, WANTED_MODULES);
  return { path, release, modules: files.map((file) => join(directory, file)), parameters: [] };
}

/** The containerd of this machine. */
import { hasCode } from '../base/errors.ts';
import type { RunProcess } from '../base/process.ts';
import { type ContainerdVersion, parseContainerdVersion } from './version.ts';

/** @returns undefined when containerd is not installed or says no version. */
export async function readInstalledVersion(run: RunProcess): Promise<ContainerdVersion | undefined> {
  try {
    const { stdout } = await run('containerd', ['--version']);
    return parseContainerdVersion(stdout);
  } catch (error) {
    if (hasCode(error, 'unsupported')) return undefined;
    throw error;
  }
}

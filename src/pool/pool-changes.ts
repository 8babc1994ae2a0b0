/** One at a time changes a pool's table: the daemon, or somebody with `dmthin pool extend`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../base/errors.ts';
import { acquireFileLock } from '../base/file-lock.ts';
import type { LockPool } from './provision-extend.ts';

/** @param directory where the lock files are; it is emptied by a reboot, as the pool's tables are. */
export function createLockPool(directory = '/run/dmthin'): LockPool {
  return (name) => {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    try {
      return acquireFileLock(join(directory, `pool-${name}.lock`));
    } catch (error) {
      if (!hasCode(error, 'locked')) throw error;
      throw error.with({
        op: `change pool ${name}`,
        what: 'another process is changing this pool now',
        nextStep: 'try again',
      });
    }
  };
}

/**
 * Who changes a pool's tables, and which of them one that died may have left half-way: while a device is suspended, all I/O
 * to it waits. Files in a directory that a reboot empties, as it does the kernel's tables.
 */
import { mkdirSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, hasCode } from '../base/errors.ts';
import { acquireFileLock, type FileLock } from '../base/file-lock.ts';
import { dmName, type DmName } from '../base/units.ts';

export interface PoolChanges {
  /** For one process at a time: the daemon, or `dmthin pool extend`. @throws locked while another has it. */
  lock(pool: DmName): FileLock;
  /** Devices whose tables are being changed, or were when the process that did it died. Needs no lock. */
  underWay(pool: DmName): Promise<readonly DmName[]>;
  /** Under the lock, before the first table is changed. */
  begin(pool: DmName, devices: readonly DmName[]): Promise<void>;
  /** Under the lock, when none of them is suspended any more. */
  end(pool: DmName): Promise<void>;
}

/** @param directory where the files are. */
export function createPoolChanges(directory = '/run/dmthin'): PoolChanges {
  const markOf = (pool: DmName): string => join(directory, `pool-${pool}.changing`);
  return {
    lock(pool) {
      mkdirSync(directory, { recursive: true, mode: 0o755 });
      try {
        return acquireFileLock(join(directory, `pool-${pool}.lock`));
      } catch (error) {
        if (!hasCode(error, 'locked')) throw error;
        throw error.with({
          op: `change pool ${pool}`,
          what: 'another process is changing this pool now',
          nextStep: 'try again',
        });
      }
    },
    async underWay(pool) {
      try {
        return (await readFile(markOf(pool), 'utf8')).split('\n').filter(Boolean).map(dmName);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      }
    },
    begin: (pool, devices) => writeFile(markOf(pool), devices.map((name) => `${name}\n`).join('')),
    end: (pool) => rm(markOf(pool), { force: true }),
  };
}

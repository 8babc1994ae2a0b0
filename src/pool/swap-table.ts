/** A new table for a device in use, and what is done when whoever changed it died half-way. */
import { toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { DmName } from '../base/units.ts';
import type { DmClient, DmLine } from '../dm/client.ts';
import type { PoolChanges } from './pool-changes.ts';

/** Loads `table` and lets it take effect. @throws as {@link takeLoadedTable} does. */
export async function swapTable(name: DmName, table: readonly DmLine[], dm: DmClient): Promise<void> {
  await dm.load(name, table);
  await takeLoadedTable(name, dm);
}

/**
 * Lets a table that is loaded take effect. Without a flush: writes that wait for space end only when a pool has grown.
 * INVARIANT: the device does not stay suspended, because then all I/O to it hangs: a table that the kernel refuses at the
 * last moment is replaced by the one it had.
 */
async function takeLoadedTable(name: DmName, dm: DmClient): Promise<void> {
  const before = await dm.table(name);
  try {
    await dm.suspend(name, { noFlush: true, skipLockfs: true });
    await dm.resume(name);
  } catch (cause) {
    const error = toDmthinError(cause, 'change the table');
    try {
      await dm.load(name, before);
      await dm.resume(name);
    } catch (second) {
      const { message } = toDmthinError(second, 'resume');
      const what = `${error.detail.what}; and the device stays suspended: ${message}`;
      throw error.with({ what, nextStep: `dmsetup resume ${name}; the kernel log has the reason: dmesg` });
    }
    throw error;
  }
}

interface FinishDeps {
  readonly dm: DmClient;
  readonly poolChanges: PoolChanges;
}

/** Under the pool's lock. What a dead process had loaded takes effect. @returns the devices that it left half-way. */
export async function finishChange(
  pool: DmName,
  { dm, poolChanges }: FinishDeps,
): Promise<readonly DmName[]> {
  const underWay = await poolChanges.underWay(pool);
  const left: DmName[] = [];
  for (const name of underWay) {
    const info = await dm.info(name);
    if (info?.inactive !== true && info?.suspended !== true) continue;
    if (info.inactive) await takeLoadedTable(name, dm);
    else await dm.resume(name);
    left.push(name);
  }
  if (underWay.length > 0) await poolChanges.end(pool);
  return left;
}

/**
 * For the daemon, which asks again and again.
 * @returns a function that finishes what a dead process left, unless a living one is at it. It never throws.
 */
export function createFinishChange(
  pool: DmName,
  deps: FinishDeps & { readonly log: Log },
): () => Promise<void> {
  const { poolChanges, log } = deps;
  let told = '';
  return async () => {
    try {
      if ((await poolChanges.underWay(pool)).length === 0) return;
      const lock = poolChanges.lock(pool);
      try {
        const devices = await finishChange(pool, deps);
        if (devices.length > 0)
          log.warn(
            { pool, devices },
            'a change of the pool was interrupted; it is finished, and I/O goes on',
          );
      } finally {
        lock.release();
      }
    } catch (cause) {
      const error = toDmthinError(cause, 'finish the change of the pool');
      if (error.code === 'locked' || error.message === told) return;
      told = error.message;
      log.error({ pool, error }, 'a change of the pool was interrupted, and cannot be finished');
    }
  };
}

/**
 * Bringing store and kernel together again, at start and whenever the pool has come back. Every action is idempotent and
 * nothing is "faulty for good": what cannot be done now is told and tried again at the next recovery or use.
 *
 * - a pool that the store meets for the first time: the ids that it has already are marked foreign, before anything else.
 * - creating: nobody has been told of it: undone.
 * - active: its device is activated; one found suspended is resumed.
 * - committed: its device is deactivated (when the last user closes it, if it is open).
 * - removing: left to the background worker, which deletes what is left.
 * - bases that are not ready, or that the settings no longer want: deleted.
 */
import { toDmthinError } from '../base/errors.ts';
import { forEachLimit } from '../base/for-each-limit.ts';
import type { KeyedMutex } from '../base/keyed-mutex.ts';
import type { Log } from '../base/log.ts';
import type { DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import type { SnapshotRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { applyAll, type ApplyStep } from './apply.ts';
import { deleteBase } from './base-device.ts';
import { baseLock, keyLock } from './locks.ts';
import { discardDeviceName, snapshotDeviceName } from './names.ts';
import { planActivate, planUndoCreate } from './plan.ts';
import type { ListPoolDevices } from './pool-devices.ts';
import type { PoolView, ThinPool } from './thin-pool.ts';

export interface RecoveryOptions {
  readonly store: Store;
  readonly dm: DmClient;
  readonly pool: ThinPool;
  readonly apply: ApplyStep;
  readonly locks: KeyedMutex;
  readonly log: Log;
  readonly listPoolDevices: ListPoolDevices;
  /** The base that the settings want now; other ready ones are deleted. */
  readonly wantedBaseKey: string;
}

export interface RecoveryReport {
  readonly undone: number;
  readonly activated: number;
  readonly resumed: number;
  readonly deactivated: number;
  readonly removalsPending: number;
  readonly basesDeleted: number;
  /** What could not be done, in words. */
  readonly problems: readonly string[];
}

const AT_ONCE = 8;

/**
 * Takes each record's lock and reads it again under it: operations that were under way when the pool went are let finish.
 * @param view the pool as it was found usable for changes just now.
 */
export async function recover(options: RecoveryOptions, view: PoolView): Promise<RecoveryReport> {
  const { store, dm, pool, apply, locks, log, wantedBaseKey } = options;
  await scanOnce(options);
  const present = new Set<string>((await dm.list()).map((device) => device.name));
  const counts = { undone: 0, activated: 0, resumed: 0, deactivated: 0, basesDeleted: 0 };
  const problems: string[] = [];

  async function attempt(what: string, body: () => Promise<void>): Promise<void> {
    try {
      await body();
    } catch (error) {
      const { message } = toDmthinError(error, 'recovery');
      log.error({ error }, `recovery: ${what}`);
      problems.push(`${what}: ${message}`);
    }
  }

  async function recoverSnapshot(id: SnapshotRecord['id']): Promise<void> {
    const record = store.snapshot(id);
    if (record === undefined) return;
    const name = snapshotDeviceName(pool.name, record.deviceId);
    switch (record.state) {
      case 'creating':
        await applyAll(apply, planUndoCreate(name, record.deviceId));
        await store.transaction('recovery: undo', (tx) => tx.forgetSnapshot(record.id));
        counts.undone += 1;
        return;
      case 'active':
        if (!present.has(name)) {
          await apply(planActivate(name, record, view.device));
          counts.activated += 1;
        } else if (await resumeIfSuspended(name)) counts.resumed += 1;
        return;
      case 'committed':
        if (!present.has(name)) return;
        if (await resumeIfSuspended(name)) counts.resumed += 1;
        await apply({ do: 'deactivate', name, deferred: true });
        counts.deactivated += 1;
        return;
      case 'removing':
        if (present.has(name)) await resumeIfSuspended(name);
        await deactivateDiscard(record);
        return;
      default:
        record satisfies never;
    }
  }

  /** A discard that a crash interrupted holds the device, also where the settings want no more discards. */
  async function deactivateDiscard({ deviceId }: SnapshotRecord): Promise<void> {
    const name = discardDeviceName(pool.name, deviceId);
    if (present.has(name)) await apply({ do: 'deactivate', name, deferred: false });
  }

  async function resumeIfSuspended(name: DmName): Promise<boolean> {
    const info = await dm.info(name);
    if (info?.suspended !== true) return false;
    await dm.resume(name);
    return true;
  }

  await forEachLimit(store.allSnapshots(), AT_ONCE, (record) =>
    attempt(`snapshot ${JSON.stringify(record.key)} (${record.state}, device id ${record.deviceId})`, () =>
      locks.run(keyLock(record.key), () => recoverSnapshot(record.id)),
    ),
  );
  for (const base of store.bases()) {
    if (base.state === 'ready' && base.key === wantedBaseKey) continue;
    await attempt(`base device ${base.deviceId}`, async () => {
      await locks.run(baseLock(base.key), async () => {
        const found = store.base(base.key);
        if (found === undefined || (found.state === 'ready' && found.key === wantedBaseKey)) return;
        await deleteBase({ store, pool, apply }, found);
        counts.basesDeleted += 1;
      });
    });
  }
  return { ...counts, removalsPending: store.removals().length, problems };
}

/** Without thin_ls the ids are met one by one, when the kernel answers EEXIST. */
async function scanOnce({ store, listPoolDevices, log }: RecoveryOptions): Promise<void> {
  if (store.meta().poolScanned) return;
  try {
    const ids = await listPoolDevices();
    await store.transaction('recovery: scanned', (tx) => tx.markScanned(ids));
    if (ids.length > 0)
      log.info(
        { devices: ids.length },
        'the pool has devices that this store did not make; they are left alone',
      );
  } catch (error) {
    log.warn({ error }, 'could not list the devices that the pool has; install thin-provisioning-tools');
  }
}

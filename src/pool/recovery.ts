/**
 * Bringing store and kernel together again, at start and whenever the pool has come back. Every action is idempotent and
 * nothing is "faulty for good": what cannot be done now is told and tried again at the next recovery or use.
 *
 * - a pool that the store meets for the first time: the ids that it has already are marked foreign, before anything else.
 * - creating: nobody has been told of it: undone; what cannot be undone yet becomes a removal.
 * - active: its device is activated; one found suspended is resumed.
 * - committed: its device is deactivated (when the last user closes it, if it is open).
 * - removing: left to the background worker, which deletes what is left.
 * - bases that are not ready, or that the settings no longer want: deleted.
 * - what a crash left besides: recovery-leftovers.ts.
 */
import { toDmthinError } from '../base/errors.ts';
import { forEachLimit } from '../base/for-each-limit.ts';
import type { KeyedMutex } from '../base/keyed-mutex.ts';
import type { Log } from '../base/log.ts';
import type { DmClient, DmInfo } from '../dm/client.ts';
import type { DeviceNodes } from '../dm/device-nodes.ts';
import { parsePoolStatus } from '../dm/status.ts';
import type { SnapshotRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import type { ApplyStep } from './apply.ts';
import { deleteBase } from './base-device.ts';
import { baseLock, keyLock, METADATA_SNAPSHOT_LOCK, removalLock } from './locks.ts';
import { discardDeviceName, snapshotDeviceName } from './names.ts';
import { planActivate } from './plan.ts';
import type { ListPoolDevices } from './pool-devices.ts';
import { removeLeftovers } from './recovery-leftovers.ts';
import type { PoolView, ThinPool } from './thin-pool.ts';
import { undoCreation } from './undo-creation.ts';

export interface RecoveryOptions {
  readonly store: Store;
  readonly dm: DmClient;
  readonly pool: ThinPool;
  readonly apply: ApplyStep;
  readonly locks: KeyedMutex;
  readonly log: Log;
  readonly nodes: Pick<DeviceNodes, 'entries' | 'forget'>;
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
  /** Devices and entries of /dev/mapper that nothing needs. */
  readonly leftoversRemoved: number;
  /** What could not be done, in words. */
  readonly problems: readonly string[];
}

const AT_ONCE = 8;

/**
 * Takes each record's lock and reads it again under it: operations that were under way when the pool went are let finish.
 * @param view the pool as it was found usable for changes just now.
 */
export async function recover(options: RecoveryOptions, view: PoolView): Promise<RecoveryReport> {
  const { store, dm, nodes, pool, apply, locks, log, wantedBaseKey } = options;
  await locks.run(METADATA_SNAPSHOT_LOCK, async () => {
    // Asked again under the lock: the one that was seen may have been that of a check.
    if (view.status.heldRoot !== undefined && (await holdsMetadataSnapshot(options)))
      await releaseMetadataSnapshot(options);
    await scanOnce(options);
  });
  const names = (await dm.list()).map((device) => device.name);
  const present = new Set<string>(names);
  const entries = await nodes.entries(`${pool.name}-`);
  const reachable = new Set(entries.filter(({ leadsTo }) => leadsTo !== undefined).map(({ name }) => name));
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
        await undoCreation(options, record);
        counts.undone += 1;
        return;
      case 'active': {
        const info = present.has(name) && reachable.has(name) ? await dm.info(name) : undefined;
        if (info?.live !== true) {
          // Also one without its entry in /dev/mapper, and one without a table, a creation that a crash interrupted: `active` may be durable before the device is.
          await apply(planActivate(name, record, view.device));
          counts.activated += 1;
        } else if (await resumeIfSuspended(info)) counts.resumed += 1;
        return;
      }
      case 'committed':
        if (!present.has(name)) return;
        if (await resumeIfSuspended(await dm.info(name))) counts.resumed += 1;
        await apply({ do: 'deactivate', name, deferred: true });
        counts.deactivated += 1;
        return;
      case 'removing':
        if (present.has(name)) await resumeIfSuspended(await dm.info(name));
        await deactivateDiscard(record);
        return;
      default:
        record satisfies never;
    }
  }

  /** A discard that a crash interrupted holds the device, also where the settings want no more discards. */
  async function deactivateDiscard({ id, deviceId }: SnapshotRecord): Promise<void> {
    const name = discardDeviceName(pool.name, deviceId);
    if (!present.has(name)) return;
    // A removal that is at work discards under its lock, and takes the device away itself.
    await locks.run(removalLock(id), () => apply({ do: 'deactivate', name, deferred: false }));
  }

  async function resumeIfSuspended(info: DmInfo | undefined): Promise<boolean> {
    if (info?.suspended !== true) return false;
    await dm.resume(info.name);
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
  const leftoversRemoved = await removeLeftovers(options, { names, entries }, attempt);
  return { ...counts, leftoversRemoved, removalsPending: store.removals().length, problems };
}

async function holdsMetadataSnapshot({ dm, pool }: RecoveryOptions): Promise<boolean> {
  const status = parsePoolStatus(pool.name, await dm.status(pool.name));
  return status.kind === 'ok' && status.heldRoot !== undefined;
}

/** There is one, so whoever lists devices later needs it free; in our pool nobody else takes it. */
async function releaseMetadataSnapshot({ dm, pool, log }: RecoveryOptions): Promise<void> {
  log.warn({ pool: pool.name }, 'the pool holds a metadata snapshot that somebody left; giving it back');
  try {
    await dm.message(pool.name, 'release_metadata_snap');
  } catch (error) {
    log.warn({ error, pool: pool.name }, 'the metadata snapshot stays');
  }
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

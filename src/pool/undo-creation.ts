/** Takes back a creation that failed, or that a crash interrupted. */
import type { Log } from '../base/log.ts';
import type { DmName } from '../base/units.ts';
import { type CreatingRecord, toRemoving } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { applyAll, type ApplyStep } from './apply.ts';
import { snapshotDeviceName } from './names.ts';
import { planUndoCreate } from './plan.ts';

export interface UndoOptions {
  readonly store: Store;
  readonly apply: ApplyStep;
  readonly pool: { readonly name: DmName };
  readonly log: Log;
}

/**
 * Deletes the device and forgets the record. What cannot be undone now, as when a resize2fs that outlived the daemon has the
 * device open, becomes a removal for the background worker: the key is free either way. The caller holds the key's lock.
 */
export async function undoCreation(
  { store, apply, pool, log }: UndoOptions,
  record: CreatingRecord,
): Promise<'undone' | 'pending'> {
  const name = snapshotDeviceName(pool.name, record.deviceId);
  const abandon = (): Promise<void> =>
    store.transaction('undo creation: abandon', (tx) => tx.updateSnapshot(toRemoving(record)));
  try {
    // Its record may be active already: what is visible is not forgotten, it is removed.
    if (store.snapshot(record.id)?.state === 'active') await abandon();
    await applyAll(apply, planUndoCreate(name, record.deviceId));
    await store.transaction('undo creation: forget', (tx) => tx.forgetSnapshot(record.id));
    return 'undone';
  } catch (error) {
    log.warn(
      { error, key: record.key, deviceId: record.deviceId },
      'undoing a creation is left to the background',
    );
    await abandon();
    return 'pending';
  }
}

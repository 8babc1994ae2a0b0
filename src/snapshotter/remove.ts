/**
 * Remove and Cleanup.
 *
 * INVARIANTS
 * - The kernel is asked first: a device that is open cannot be deactivated, and then nothing has changed.
 * - tx "removing" is durable before the first block is discarded or the id deleted: a crash can never leave a hollow
 *   snapshot that still has a name.
 * - Until blocks are discarded a refusal of the kernel is taken back: the snapshot is there as before. The key's lock is
 *   held throughout, so nobody can have taken the key.
 */
import { DmthinError, hasCode } from '../base/errors.ts';
import { applyAll } from '../pool/apply.ts';
import { snapshotDeviceName } from '../pool/names.ts';
import { planActivate, planDelete, planDiscard } from '../pool/plan.ts';
import { type RemovingRecord, toRemoving, type VisibleRecord } from '../store/records.ts';
import { keyLock, removalLock } from '../pool/locks.ts';
import type { Context } from './context.ts';
import { quote, requireNoChildren, requireVisible } from './lookup.ts';
import type { CallOptions } from './snapshotter.ts';

const op = 'Remove';

export async function removeSnapshot(
  context: Context,
  key: string,
  { signal }: CallOptions = {},
): Promise<void> {
  await context.whenReady(op);
  await context.locks.run(keyLock(key), async () => {
    const record = requireVisible(op, context.store, key);
    requireNoChildren(op, context.store, record);
    if (context.asyncRemove) await removeLater(context, record);
    else {
      const gone = await context.locks.run(removalLock(record.id), () => removeNow(context, record, signal));
      if (gone) void forgetSoon(context, record.id);
    }
  });
}

async function removeLater(context: Context, record: VisibleRecord): Promise<void> {
  const info = await context.dm.info(snapshotDeviceName(context.pool.name, record.deviceId));
  if (info !== undefined && info.openCount > 0) throw inUse(context, record);
  await markRemoving(context, record);
  context.removalPending();
}

/**
 * Under the lock of the removal, so that Cleanup does not take over half-way.
 * @returns false when the removal is durable but the device is still to be deleted.
 */
async function removeNow(
  context: Context,
  record: VisibleRecord,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const name = snapshotDeviceName(context.pool.name, record.deviceId);
  const { device } = await context.pool.look(op, 'change');
  try {
    await context.apply({ do: 'deactivate', name, deferred: false }, signal);
  } catch (error) {
    if (hasCode(error, 'busy')) throw inUse(context, record, error);
    throw await context.pool.explain(error, op, 'change', 'failed_precondition');
  }
  let lastSeen: VisibleRecord;
  try {
    lastSeen = await markRemoving(context, record);
  } catch (error) {
    await reactivate(context, record, device);
    throw error;
  }
  try {
    if (context.discardBlocks) await applyAll(context.apply, planDiscard(context.pool.name, record, device));
    await context.apply({ do: 'delete', id: record.deviceId });
  } catch (error) {
    if (context.discardBlocks) {
      leaveToBackground(context, record, error);
      return false;
    }
    await context.store.transaction('Remove: take back', (tx) => tx.updateSnapshot(lastSeen));
    await reactivate(context, record, device);
    throw await context.pool.explain(error, op, 'change', 'failed_precondition');
  }
  return confirmDeleted(context, record);
}

/** The pool deleted the device; when it cannot write that down, the removal stays and is finished when it can. */
async function confirmDeleted(context: Context, record: VisibleRecord): Promise<boolean> {
  try {
    await context.apply({ do: 'confirm' });
    return true;
  } catch (error) {
    leaveToBackground(context, record, error);
    return false;
  }
}

function leaveToBackground(context: Context, { key }: VisibleRecord, error: unknown): void {
  context.log.warn({ error, key }, 'the removal is durable but not finished; left to the background');
  context.removalPending();
}

function forget({ store }: Context, id: VisibleRecord['id']): Promise<void> {
  return store.transaction('Remove: forget', (tx) => {
    if (tx.snapshot(id) !== undefined) tx.forgetSnapshot(id);
  });
}

/**
 * The caller does not wait for it: a record that is `removing` without a device is forgotten by the background worker, by
 * Cleanup or by recovery, whoever comes first.
 */
async function forgetSoon(context: Context, id: VisibleRecord['id']): Promise<void> {
  try {
    await forget(context, id);
  } catch (error) {
    context.log.warn({ error, snapshotId: id }, 'a removed snapshot could not be forgotten yet');
    context.removalPending();
  }
}

/** @returns the record as it was until now: an Update may have changed its labels since it was first read. */
function markRemoving({ store }: Context, { key }: VisibleRecord): Promise<VisibleRecord> {
  return store.transaction('Remove: removing', (tx) => {
    const now = requireVisible(op, tx, key);
    requireNoChildren(op, tx, now);
    tx.updateSnapshot(toRemoving(now));
    return now;
  });
}

async function reactivate(context: Context, record: VisibleRecord, poolDevice: string): Promise<void> {
  if (record.state !== 'active') return;
  const name = snapshotDeviceName(context.pool.name, record.deviceId);
  try {
    await context.apply(planActivate(name, record, poolDevice));
  } catch (error) {
    context.log.error(
      { error, device: name },
      'could not activate again what could not be removed; Mounts tries again',
    );
  }
}

function inUse(context: Context, record: VisibleRecord, cause?: unknown): DmthinError {
  const device = snapshotDeviceName(context.pool.name, record.deviceId);
  return new DmthinError(
    'failed_precondition',
    {
      op,
      what: `snapshot ${quote(record.key)} is in use; nothing was changed`,
      device,
      deviceId: record.deviceId,
      errno: 'EBUSY',
      nextStep: `see who has it open: findmnt -S /dev/mapper/${device}; dmsetup info ${device}`,
    },
    cause,
  );
}

/**
 * Finishes one removal that is durable already; idempotent. Serialised with itself by the removal's own lock, so that
 * Cleanup and the background worker never work on one device at once.
 */
export async function finishRemoval(context: Context, id: RemovingRecord['id']): Promise<void> {
  const { store, pool, apply, locks, discardBlocks } = context;
  await locks.run(removalLock(id), async () => {
    const record = store.snapshot(id);
    if (record?.state !== 'removing') return;
    const name = snapshotDeviceName(pool.name, record.deviceId);
    const { device } = await pool.look('Cleanup', 'change');
    await apply({ do: 'deactivate', name, deferred: false });
    if (discardBlocks) await discardIfThere(context, record, device);
    await applyAll(apply, planDelete(record.deviceId));
    await forget(context, id);
  });
}

async function discardIfThere(context: Context, record: RemovingRecord, device: string): Promise<void> {
  try {
    await applyAll(context.apply, planDiscard(context.pool.name, record, device));
  } catch (error) {
    // A crash after the delete leaves the record without a device: nothing to discard.
    if (!hasCode(error, 'not_found')) throw error;
  }
}

/** Does the removals that were put off; one that fails does not stop the others. */
export async function cleanup(context: Context): Promise<void> {
  await context.whenReady('Cleanup');
  const failures: unknown[] = [];
  for (const id of context.store.removals()) {
    try {
      await finishRemoval(context, id);
    } catch (error) {
      failures.push(error);
    }
  }
  const [first] = failures;
  if (first === undefined) return;
  const explained = await context.pool.explain(first, 'Cleanup', 'change', 'failed_precondition');
  throw failures.length === 1
    ? explained
    : explained.with({
        what: `${failures.length} removals could not be finished, the first: ${explained.detail.what}`,
      });
}

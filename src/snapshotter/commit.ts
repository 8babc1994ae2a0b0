/**
 * Commit: an active snapshot becomes committed under a name of its own.
 *
 * INVARIANT: after the reply nothing of it may be lost, power cut included: contents are flushed before the one durable
 * transaction, and the device is deactivated only after it. Dying in between leaves the snapshot active, or committed
 * with a device that recovery deactivates.
 *
 * What cannot be kept is refused, and stays refused: the kernel tells of a write that failed only once, so that is written
 * down; ext writes down itself what it met. What no file system and no flush tells (a file's contents that could not be
 * written while all else could, and that nobody called fsync for) cannot be known here: docs/recovery.md.
 */
import { DmthinError, toDmthinError } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import type { DeviceTotals, ActiveRecord } from '../store/records.ts';
import { snapshotDeviceName } from '../pool/names.ts';
import { keyLock } from '../pool/locks.ts';
import type { Context } from './context.ts';
import { quote, requireActive, requireFreeKey, requireVisible, toInfo } from './lookup.ts';
import { withDevice } from './activate.ts';
import type { Labels } from './snapshotter.ts';

const op = 'Commit';

export interface CommitRequest {
  readonly name: string;
  readonly key: string;
  readonly labels: Labels;
  readonly expectedParent: string | undefined;
}

export async function commitSnapshot(context: Context, request: CommitRequest): Promise<void> {
  const { name, key, labels } = request;
  await context.whenReady(op);
  await context.locks.runAll([keyLock(key), keyLock(name)], async () => {
    const record = requireCommittable(context, request);
    const totals = await flush(context, record);
    await context.store.transaction('Commit: committed', (tx) => {
      requireFreeKey(op, tx, name);
      const { kind, lostWrite, ...kept } = record;
      const now = context.nowMs();
      tx.updateSnapshot({
        ...kept,
        state: 'committed',
        key: name,
        labels,
        createdAtMs: now,
        updatedAtMs: now,
        totals,
      });
    });
    await deactivate(context, record);
  });
}

function requireCommittable({ store }: Context, { name, key, expectedParent }: CommitRequest): ActiveRecord {
  const record = requireActive(op, requireVisible(op, store, key));
  if (record.kind === 'view') {
    throw new DmthinError('failed_precondition', { op, what: `snapshot ${quote(key)} is a view` });
  }
  const { parent } = toInfo(store, record);
  if (expectedParent !== undefined && expectedParent !== parent) {
    throw new DmthinError('invalid_argument', {
      op,
      what: `snapshot ${quote(key)} has parent ${quote(parent)}, not ${quote(expectedParent)}: a thin device cannot be re-parented`,
    });
  }
  requireFreeKey(op, store, name);
  return record;
}

async function flush(context: Context, record: ActiveRecord): Promise<DeviceTotals> {
  if (record.lostWrite !== undefined) throw lostWrite(context, record, record.lostWrite);
  try {
    return await withDevice(context, op, record, async (name) => {
      await flushOrRemember(context, record, name);
      const [{ totals, recordedErrors }] = await Promise.all([
        context.readFigures(name),
        context.pool.requireUsable(op, 'keep'),
      ]);
      if (recordedErrors > 0)
        throw lostWrite(context, record, `its filesystem has recorded errors (${recordedErrors})`);
      return totals;
    });
  } catch (error) {
    if (error instanceof DmthinError && error.detail.op === op) throw error;
    throw await context.pool.explain(error, op, 'keep', 'internal');
  }
}

async function flushOrRemember(context: Context, record: ActiveRecord, name: DmName): Promise<void> {
  try {
    await context.apply({ do: 'flush', name });
  } catch (error) {
    const { detail } = toDmthinError(error, op);
    if (detail.errno !== undefined && LOSSES.includes(detail.errno)) {
      const lost = `an earlier Commit met ${detail.errno} in ${detail.op}`;
      await context.store.transaction('Commit: lost a write', (tx) => {
        // Read again: an Update may have changed its labels meanwhile.
        const now = tx.snapshot(record.id);
        if (now?.state === 'active') tx.updateSnapshot({ ...now, lostWrite: lost });
      });
    }
    throw error;
  }
}

/** Errnos of a flush after which something may be missing on the disk: fsync(2). */
const LOSSES: readonly string[] = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS'];

function lostWrite({ pool }: Context, record: ActiveRecord, why: string): DmthinError {
  const device = snapshotDeviceName(pool.name, record.deviceId);
  return new DmthinError('failed_precondition', {
    op,
    what: `something that was written to snapshot ${quote(record.key)} was lost: ${why}`,
    device,
    deviceId: record.deviceId,
    nextStep:
      'the kernel log has the reason: dmesg; remove the snapshot and make it anew (pull the image again)',
  });
}

/** The commit is done whatever happens here: a device that stays active is deactivated at the next start. */
async function deactivate(context: Context, record: ActiveRecord): Promise<void> {
  const deviceName = snapshotDeviceName(context.pool.name, record.deviceId);
  try {
    await context.apply({ do: 'deactivate', name: deviceName, deferred: true });
  } catch (error) {
    context.log.warn({ error, device: deviceName }, 'a committed snapshot stays active');
  }
}

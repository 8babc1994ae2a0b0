/**
 * Commit: an active snapshot becomes committed under a name of its own.
 *
 * INVARIANT: after the reply nothing of it may be lost, power cut included: contents are flushed before the one durable
 * transaction, and the device is deactivated only after it. Dying in between leaves the snapshot active, or committed
 * with a device that recovery deactivates.
 */
import { DmthinError } from '../base/errors.ts';
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
      const { kind, ...kept } = record;
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
  try {
    return await withDevice(context, op, record, async (name) => {
      await context.apply({ do: 'flush', name });
      return context.readTotals(name);
    });
  } catch (error) {
    throw await context.pool.explain(error, op, 'change', 'internal');
  }
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

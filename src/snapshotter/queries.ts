/** Stat, List, Usage, Mounts and Update: what is answered from the store, and from one look at the kernel. */
import { DmthinError } from '../base/errors.ts';
import { isVisible, type DeviceTotals } from '../store/records.ts';
import { askDevice } from './activate.ts';
import type { Context } from './context.ts';
import { requireActive, requireVisible, toInfo } from './lookup.ts';
import { mountOf } from './mounts.ts';
import type { LabelChange, Mount, SnapshotInfo, SnapshotPredicate, Usage } from './snapshotter.ts';

const PAGE = 100;

export function stat({ store }: Context, key: string): SnapshotInfo {
  return toInfo(store, requireVisible('Stat', store, key));
}

/** Reads the store a page at a time and gives the event loop a turn after each, however few snapshots match. */
export async function* list(
  { store }: Context,
  predicate: SnapshotPredicate,
): AsyncGenerator<SnapshotInfo[]> {
  let afterId = 0;
  for (;;) {
    const records = store.snapshotsAfter(afterId, PAGE);
    const last = records.at(-1);
    if (last === undefined) return;
    afterId = last.id;
    const infos = records
      .filter(isVisible)
      .map((record) => toInfo(store, record))
      .filter(predicate);
    if (infos.length > 0) yield infos;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export async function mounts(context: Context, key: string): Promise<Mount[]> {
  const op = 'Mounts';
  return explained(context, op, () =>
    askDevice(context, op, key, async (found, onDevice) => {
      const record = requireActive(op, found);
      // Nothing to a device that lives, but for its entry in /dev/mapper, which is there afterwards.
      const alive = onDevice(record, (name) => context.dm.resume(name));
      // The device of a pool that has failed lives too; nothing could be read from it.
      await Promise.all([alive, context.pool.requireUsable(op, 'read')]);
      return [mountOf(context.pool.name, record)];
    }),
  );
}

export async function usage(context: Context, key: string): Promise<Usage> {
  const op = 'Usage';
  return explained(context, op, () =>
    askDevice(context, op, key, async (record, onDevice) => {
      if (record.state === 'committed') return ownUsage(record.totals, record.origin);
      const totals = await onDevice(record, async (name) => {
        // To read from a device that is suspended would take until somebody resumes it.
        await context.dm.resume(name);
        return (await context.readFigures(name)).totals;
      });
      return ownUsage(totals, record.origin);
    }),
  );
}

/** Refusals of our own pass unchanged; whatever the kernel said is told with the pool's state. */
async function explained<T>(context: Context, op: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof DmthinError && error.detail.op === op) throw error;
    throw await context.pool.explain(error, op, 'read', 'internal');
  }
}

/** What the snapshot holds beyond its origin; never negative, as a snapshot may also have freed blocks or inodes. */
function ownUsage(totals: DeviceTotals, origin: DeviceTotals): Usage {
  return {
    sizeBytes: Math.max(0, totals.mappedBytes - origin.mappedBytes),
    inodes: Math.max(0, totals.inodes - origin.inodes),
  };
}

export async function update(context: Context, name: string, change: LabelChange): Promise<SnapshotInfo> {
  const op = 'Update';
  return context.store.transaction('Update: labels', (tx) => {
    const record = requireVisible(op, tx, name);
    const labels = change.kind === 'replace' ? change.labels : { ...record.labels, ...change.labels };
    const updated = { ...record, labels, updatedAtMs: Math.max(context.nowMs(), record.updatedAtMs + 1) };
    tx.updateSnapshot(updated);
    return toInfo(tx, updated);
  });
}

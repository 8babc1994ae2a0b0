/** Finding snapshots, and the refusals of contract that depend on the store alone. */
import { DmthinError } from '../base/errors.ts';
import type { ActiveRecord, CommittedRecord, SnapshotRecord, VisibleRecord } from '../store/records.ts';
import type { StoreReader } from '../store/store.ts';
import type { SnapshotInfo } from './snapshotter.ts';

export function quote(key: string): string {
  return JSON.stringify(key.length > 200 ? `${key.slice(0, 200)}...` : key);
}

/** @throws not_found when nobody has the key, or it is still being made. */
export function requireVisible(op: string, store: StoreReader, key: string): VisibleRecord {
  const record = store.snapshotByKey(key);
  if (record === undefined || record.state === 'removing') {
    throw new DmthinError('not_found', { op, what: `snapshot ${quote(key)} does not exist` });
  }
  if (record.state === 'creating') throw stillCreating(op, key);
  return record;
}

/** @throws not_found, also while it is still being made; invalid_argument when the parent is not committed. */
export function requireParent(op: string, store: StoreReader, parent: string): CommittedRecord {
  const record = store.snapshotByKey(parent);
  if (record === undefined)
    throw new DmthinError('not_found', { op, what: `parent ${quote(parent)} does not exist` });
  if (record.state === 'committed') return record;
  // Not there yet, for this call as for all others.
  if (record.state === 'creating') throw stillCreating(op, parent);
  throw new DmthinError('invalid_argument', { op, what: `parent ${quote(parent)} is not committed` });
}

/** @throws already_exists. */
export function requireFreeKey(op: string, store: StoreReader, key: string): void {
  if (store.snapshotByKey(key) === undefined) return;
  throw new DmthinError('already_exists', { op, what: `snapshot ${quote(key)} exists already` });
}

/** @throws failed_precondition when it is committed. */
export function requireActive(op: string, record: VisibleRecord): ActiveRecord {
  if (record.state === 'active') return record;
  throw new DmthinError('failed_precondition', { op, what: `snapshot ${quote(record.key)} is committed` });
}

/** @throws failed_precondition when other snapshots are made from it. */
export function requireNoChildren(op: string, store: StoreReader, record: SnapshotRecord): void {
  if (!store.hasChildren(record.id)) return;
  throw new DmthinError('failed_precondition', {
    op,
    what: `snapshot ${quote(record.key)} has children`,
    nextStep: 'remove the snapshots that are made from it first',
  });
}

function stillCreating(op: string, key: string): DmthinError {
  return new DmthinError('not_found', { op, what: `snapshot ${quote(key)} is still being made` });
}

/** @throws cancelled when the caller has gone away: checked before anything is begun, never after an intent. */
export function throwIfCancelled(op: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DmthinError('cancelled', { op, what: 'the caller has gone away' });
}

export function toInfo(store: StoreReader, record: VisibleRecord): SnapshotInfo {
  return {
    name: record.key,
    parent: record.parentId === null ? '' : (store.snapshot(record.parentId)?.key ?? ''),
    kind: record.state === 'committed' ? 'committed' : record.kind,
    createdAtMs: record.createdAtMs,
    updatedAtMs: record.updatedAtMs,
    labels: record.labels,
  };
}

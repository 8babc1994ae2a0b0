/**
 * What the store keeps. A snapshot and its thin device are one record, so the two can never disagree about each other.
 *
 * Only what the kernel cannot tell is kept: whether a device is loaded, suspended or open is asked of the kernel.
 */
import type { Bytes, DeviceId, SnapshotId } from '../base/units.ts';
import type { FsType } from '../filesystem/types.ts';

/** Mapped bytes (shared blocks included) and inodes in use, of one thin device. */
export interface DeviceTotals {
  readonly mappedBytes: number;
  readonly inodes: number;
}

interface CommonFields {
  readonly id: SnapshotId;
  readonly key: string;
  readonly parentId: SnapshotId | null;
  readonly deviceId: DeviceId;
  readonly fsType: FsType;
  /** The device's virtual size. */
  readonly sizeBytes: Bytes;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Totals of what the device was made from (parent or base): subtracted, they give the snapshot's own usage. */
  readonly origin: DeviceTotals;
}

/** The intent is durable, the device may or may not exist, and nobody has been told of it. */
export interface CreatingRecord extends CommonFields {
  readonly state: 'creating';
  readonly kind: 'active' | 'view';
}

export interface ActiveRecord extends CommonFields {
  readonly state: 'active';
  readonly kind: 'active' | 'view';
  /** Something that was written to it never reached the disk: what the kernel said of it, which it says only once. */
  readonly lostWrite?: string | undefined;
}

export interface CommittedRecord extends CommonFields {
  readonly state: 'committed';
  readonly totals: DeviceTotals;
}

/** The key is free again and the snapshot gone for every caller; its device is still to be deleted. */
export interface RemovingRecord extends CommonFields {
  readonly state: 'removing';
}

export type SnapshotRecord = CreatingRecord | ActiveRecord | CommittedRecord | RemovingRecord;
/** Those that callers can see. */
export type VisibleRecord = ActiveRecord | CommittedRecord;

/** The formatted device that parentless snapshots are made from; one for each (filesystem, size, options). */
export interface BaseRecord {
  readonly key: string;
  readonly state: 'creating' | 'ready' | 'removing';
  readonly deviceId: DeviceId;
  readonly fsType: FsType;
  readonly sizeBytes: Bytes;
  readonly fsOptions: string;
  readonly totals: DeviceTotals;
}

/** Who a device id of the pool belongs to. `foreign`: the kernel knows it and we did not make it. */
export type DeviceOwner =
  | { readonly kind: 'snapshot'; readonly id: SnapshotId }
  | { readonly kind: 'base'; readonly key: string }
  | { readonly kind: 'foreign' };

/** The same snapshot on its way out: what it was besides a device is dropped. */
export function toRemoving(record: SnapshotRecord): RemovingRecord {
  const { id, key, parentId, deviceId, fsType, sizeBytes, labels, createdAtMs, updatedAtMs, origin } = record;
  return {
    ...{ id, key, parentId, deviceId, fsType, sizeBytes, labels, createdAtMs, updatedAtMs, origin },
    state: 'removing',
  };
}

type State = SnapshotRecord['state'];

/**
 * The only changes of state that the store accepts. A record appears as `creating` and disappears from `creating`
 * (rolled back) or `removing` (done). `removing` goes back when the kernel refuses the removal.
 */
export const LEGAL_MOVES = {
  creating: ['active', 'removing'],
  active: ['active', 'committed', 'removing'],
  committed: ['committed', 'removing'],
  removing: ['active', 'committed'],
} as const satisfies Record<State, readonly State[]>;

export function isLegalMove(from: State, to: State): boolean {
  const targets: readonly State[] = LEGAL_MOVES[from];
  return targets.includes(to);
}

export function isVisible(record: SnapshotRecord): record is VisibleRecord {
  return record.state === 'active' || record.state === 'committed';
}

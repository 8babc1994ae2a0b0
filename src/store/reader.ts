/** Reads of the store: synchronous, from the memory map, always of the last committed state. */
import { DmthinError } from '../base/errors.ts';
import type { DeviceId, SnapshotId } from '../base/units.ts';
import {
  decodeBase,
  decodeMeta,
  decodeOwner,
  decodeSnapshot,
  decodeSnapshotId,
  type Meta,
} from './decode.ts';
import type { BaseRecord, DeviceOwner, SnapshotRecord } from './records.ts';
import type { Tables } from './tables.ts';

const PAGE = 500;

export interface StoreReader {
  meta(): Meta;
  snapshot(id: SnapshotId): SnapshotRecord | undefined;
  /** The snapshot that holds a key or name: creating, active or committed, never one being removed. */
  snapshotByKey(key: string): SnapshotRecord | undefined;
  /** True when a snapshot has children: creating, active or committed, not those being removed. */
  hasChildren(id: SnapshotId): boolean;
  /** Snapshots in order of id, of every state, starting after `afterId`, at most `limit`. */
  snapshotsAfter(afterId: number, limit: number): SnapshotRecord[];
  /** All of them in that order, read a page at a time: memory does not grow with their number. */
  allSnapshots(): Generator<SnapshotRecord>;
  /** Ids of snapshots being removed, oldest first. */
  removals(): SnapshotId[];
  deviceOwner(id: DeviceId): DeviceOwner | undefined;
  base(key: string): BaseRecord | undefined;
  bases(): BaseRecord[];
}

export function createReader(tables: Tables): StoreReader {
  function snapshot(id: SnapshotId): SnapshotRecord | undefined {
    const row = tables.snapshots.get(id);
    return row === undefined ? undefined : decodeSnapshot(row);
  }
  function snapshotsAfter(afterId: number, limit: number): SnapshotRecord[] {
    return [...tables.snapshots.getRange({ start: afterId + 1, limit })].map(({ value }) =>
      decodeSnapshot(value),
    );
  }

  return {
    snapshot,
    meta: () => decodeMeta(tables.meta.get('meta')),
    snapshotByKey(key) {
      const row = tables.names.get(key);
      if (row === undefined) return undefined;
      const found = snapshot(decodeSnapshotId(row));
      if (found === undefined) {
        throw new DmthinError('internal', {
          op: 'read store',
          what: `the name ${JSON.stringify(key)} has no record`,
        });
      }
      return found;
    },
    hasChildren(id) {
      for (const _ of tables.children.getKeys({ start: [id, 0], end: [id + 1, 0], limit: 1 })) return true;
      return false;
    },
    snapshotsAfter,
    *allSnapshots() {
      for (let afterId = 0; ;) {
        const page = snapshotsAfter(afterId, PAGE);
        const last = page.at(-1);
        if (last === undefined) return;
        yield* page;
        afterId = last.id;
      }
    },
    removals: () => [...tables.removals.getKeys()].map(decodeSnapshotId),
    deviceOwner(id) {
      const row = tables.devices.get(id);
      return row === undefined ? undefined : decodeOwner(row);
    },
    base(key) {
      const row = tables.bases.get(key);
      return row === undefined ? undefined : decodeBase(row);
    },
    bases: () => [...tables.bases.getRange()].map(({ value }) => decodeBase(value)),
  };
}

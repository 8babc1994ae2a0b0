/**
 * Writes of the store. Each function keeps all tables in step with each other; no other code writes rows.
 * Only usable inside a transaction's body.
 */
import { DmthinError } from '../base/errors.ts';
import { deviceId, MAX_DEVICE_ID, snapshotId, type DeviceId, type SnapshotId } from '../base/units.ts';
import type { Meta } from './decode.ts';
import type { StoreReader } from './reader.ts';
import { isLegalMove, type BaseRecord, type CreatingRecord, type SnapshotRecord } from './records.ts';
import type { Tables } from './tables.ts';

export interface StoreWriter extends StoreReader {
  /** The next snapshot id; never given twice. */
  nextSnapshotId(): SnapshotId;
  /** The next device id that nobody owns; ids come back only after the whole id space has been used once. */
  nextDeviceId(): DeviceId;
  /** @throws already_exists when the key is taken. */
  insertSnapshot(record: CreatingRecord): void;
  /** Replaces a record: its state along LEGAL_MOVES, its key or its device id with it. */
  updateSnapshot(record: SnapshotRecord): void;
  /** Forgets a record that is `creating` or `removing`, and frees its device id. */
  forgetSnapshot(id: SnapshotId): void;
  putBase(record: BaseRecord): void;
  forgetBase(key: string): void;
  /** Notes a device id that the pool has and we did not make, so that it is never handed out. */
  markForeign(id: DeviceId): void;
  /** Binds the store to a pool whose devices are not known yet. */
  setPoolName(name: string): void;
  /** What the pool's transaction id is before and after the change that follows. */
  setGeneration(generation: NonNullable<Meta['generation']>): void;
  /**
   * Gives up all that is `creating` or `removing`, and marks its devices as foreign: they are never deleted nor handed out.
   * What else the pool has is to be listed again.
   */
  keepUnfinished(): DeviceId[];
  /** Marks those of `ids` that nobody owns as foreign: the pool had them before us. */
  markScanned(ids: readonly DeviceId[]): void;
}

const ID_SPACE = MAX_DEVICE_ID + 1;

export function createWriter(tables: Tables, reader: StoreReader): StoreWriter {
  function releaseDevice(id: DeviceId): void {
    if (reader.deviceOwner(id)?.kind !== 'foreign') void tables.devices.remove(id);
  }

  function markForeign(id: DeviceId): void {
    void tables.devices.put(id, { kind: 'foreign' });
  }

  function nextDeviceId(): DeviceId {
    const meta = reader.meta();
    for (let next = meta.nextDeviceId; next < meta.nextDeviceId + ID_SPACE; next += 1) {
      const candidate = deviceId(next % ID_SPACE);
      if (candidate === 0 || reader.deviceOwner(candidate) !== undefined) continue;
      void tables.meta.put('meta', { ...meta, nextDeviceId: next + 1 });
      return candidate;
    }
    throw new DmthinError('resource_exhausted', {
      op: 'allocate device id',
      what: 'all 2^24 ids of the pool are in use',
      nextStep: 'remove snapshots',
    });
  }

  function mustHave(id: SnapshotId): SnapshotRecord {
    const record = reader.snapshot(id);
    if (record === undefined)
      throw new DmthinError('internal', { op: 'write store', what: `no snapshot has id ${id}` });
    return record;
  }

  function unlink(record: SnapshotRecord): void {
    if (record.state === 'removing') void tables.removals.remove(record.id);
    else {
      void tables.names.remove(record.key);
      if (record.parentId !== null) void tables.children.remove([record.parentId, record.id]);
    }
  }

  function link(record: SnapshotRecord): void {
    void tables.snapshots.put(record.id, record);
    if (record.state === 'removing') {
      void tables.removals.put(record.id, true);
      return;
    }
    if (tables.names.get(record.key) !== undefined) {
      throw new DmthinError('already_exists', {
        op: 'write store',
        what: `the key ${JSON.stringify(record.key)} is taken`,
      });
    }
    void tables.names.put(record.key, record.id);
    if (record.parentId !== null) void tables.children.put([record.parentId, record.id], true);
  }

  function forgetSnapshot(id: SnapshotId): void {
    const record = mustHave(id);
    if (record.state !== 'creating' && record.state !== 'removing') {
      throw new DmthinError('internal', {
        op: 'write store',
        what: `snapshot ${id} is ${record.state}, not to be forgotten`,
      });
    }
    unlink(record);
    void tables.snapshots.remove(id);
    releaseDevice(record.deviceId);
  }

  function forgetBase(key: string): void {
    const record = reader.base(key);
    if (record === undefined) return;
    void tables.bases.remove(key);
    releaseDevice(record.deviceId);
  }

  return {
    ...reader,
    nextDeviceId,
    nextSnapshotId() {
      const meta = reader.meta();
      void tables.meta.put('meta', { ...meta, nextSnapshotId: meta.nextSnapshotId + 1 });
      return snapshotId(meta.nextSnapshotId);
    },
    insertSnapshot(record) {
      link(record);
      void tables.devices.put(record.deviceId, { kind: 'snapshot', id: record.id });
    },
    updateSnapshot(record) {
      const before = mustHave(record.id);
      if (before.state !== record.state && !isLegalMove(before.state, record.state)) {
        throw new DmthinError('internal', {
          op: 'write store',
          what: `snapshot ${record.id} cannot go from ${before.state} to ${record.state}`,
        });
      }
      unlink(before);
      link(record);
      if (before.deviceId !== record.deviceId) {
        releaseDevice(before.deviceId);
        void tables.devices.put(record.deviceId, { kind: 'snapshot', id: record.id });
      }
    },
    forgetSnapshot,
    putBase(record) {
      const before = reader.base(record.key);
      if (before !== undefined && before.deviceId !== record.deviceId) releaseDevice(before.deviceId);
      void tables.bases.put(record.key, record);
      void tables.devices.put(record.deviceId, { kind: 'base', key: record.key });
    },
    forgetBase,
    markForeign,
    setPoolName: (name) =>
      void tables.meta.put('meta', {
        ...reader.meta(),
        poolName: name,
        poolScanned: false,
        generation: null,
      }),
    setGeneration: (generation) => void tables.meta.put('meta', { ...reader.meta(), generation }),
    keepUnfinished() {
      const kept: DeviceId[] = [];
      const keep = (id: DeviceId): void => {
        kept.push(id);
        markForeign(id);
      };
      for (const { id, state, deviceId: device } of reader.allSnapshots()) {
        if (state !== 'creating' && state !== 'removing') continue;
        keep(device);
        forgetSnapshot(id);
      }
      for (const base of reader.bases()) {
        if (base.state === 'ready') continue;
        keep(base.deviceId);
        forgetBase(base.key);
      }
      void tables.meta.put('meta', { ...reader.meta(), poolScanned: false });
      return kept;
    },
    markScanned(ids) {
      for (const id of ids) if (reader.deviceOwner(id) === undefined) markForeign(id);
      void tables.meta.put('meta', { ...reader.meta(), poolScanned: true });
    },
  };
}

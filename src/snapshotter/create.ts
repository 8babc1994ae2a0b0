/**
 * Prepare and View: a snapshot of the parent's device, or of the base device.
 *
 * INVARIANTS
 * - tx "intent" makes key, id and device id durable before the kernel hears of them; tx "active" comes before the reply,
 *   and never before the pool has the device: recovery activates what is `active`, and undoes what is `creating`.
 * - Any failure in between is undone: device deleted, record forgotten, in state `removing` if it was active by then. What
 *   cannot be undone now becomes `removing`, so that the key is free again and the background worker finishes.
 * - A `creating` record counts as a child: its parent cannot be removed meanwhile.
 */
import { DmthinError } from '../base/errors.ts';
import type { Bytes, DeviceId } from '../base/units.ts';
import { devicePath } from '../dm/client.ts';
import { claimDeviceId } from '../pool/device-ids.ts';
import { snapshotDeviceName } from '../pool/names.ts';
import { planActivate, planCreateSnap } from '../pool/plan.ts';
import { undoCreation } from '../pool/undo-creation.ts';
import type { BaseRecord, CommittedRecord, CreatingRecord } from '../store/records.ts';
import { keyLock } from '../pool/locks.ts';
import type { Context } from './context.ts';
import { requireFreeKey, requireParent, throwIfCancelled } from './lookup.ts';
import { mountOf } from './mounts.ts';
import { requestedSize } from './size.ts';
import type { CallOptions, Labels, Mount } from './snapshotter.ts';

export interface CreateRequest {
  readonly op: 'Prepare' | 'View';
  readonly kind: 'active' | 'view';
  readonly key: string;
  /** '' for none. */
  readonly parent: string;
  readonly labels: Labels;
}

export async function createSnapshot(
  context: Context,
  request: CreateRequest,
  options: CallOptions = {},
): Promise<Mount[]> {
  const { op, key, parent, labels } = request;
  const wantedBytes = requestedSize(op, labels);
  await context.whenReady(op);
  return context.locks.run(keyLock(key), async () => {
    requireFreeKey(op, context.store, key);
    const origin = parent === '' ? undefined : requireParent(op, context.store, parent);
    throwIfCancelled(op, options.signal);
    try {
      return await createFrom(
        context,
        request,
        origin ?? (await context.ensureBase(context.base)),
        wantedBytes,
      );
    } catch (error) {
      throw await explainCreate(context, op, error);
    }
  });
}

type Origin = CommittedRecord | BaseRecord;

async function createFrom(
  context: Context,
  request: CreateRequest,
  origin: Origin,
  wantedBytes: Bytes | undefined,
): Promise<Mount[]> {
  const { store, pool, log, apply } = context;
  const sizeBytes = request.kind === 'view' ? origin.sizeBytes : childSize(context, origin, wantedBytes);
  // The look at the pool and the durable intent need nothing of each other: they share their waiting time.
  const [looked, intended] = await Promise.allSettled([
    pool.look(request.op, 'allocate'),
    recordIntent(context, request, origin, sizeBytes),
  ]);
  if (intended.status === 'rejected') throw intended.reason;
  let record = intended.value;
  if (looked.status === 'rejected') {
    await forget(context, record);
    throw looked.reason;
  }
  try {
    await claimDeviceId({
      log,
      first: record.deviceId,
      make: (id) => apply(planCreateSnap(pool.name, id, origin.deviceId)),
      moveOn: async (taken) => {
        record = await moveToNextId(context, record, taken);
        return record.deviceId;
      },
    });
    const name = snapshotDeviceName(pool.name, record.deviceId);
    const active = { ...record, state: 'active' } as const;
    const activated = apply(planActivate(name, record, looked.value.device));
    if (sizeBytes > origin.sizeBytes) {
      await activated;
      await context.growFilesystem(devicePath(name), record.fsType);
    }
    const recorded = store.transaction(`${request.op}: active`, (tx) => tx.updateSnapshot(active));
    for (const outcome of await Promise.allSettled([activated, recorded])) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
    return [mountOf(pool.name, active)];
  } catch (error) {
    if ((await undoCreation(context, record)) === 'pending') context.removalPending();
    throw error;
  }
}

function childSize(context: Context, origin: Origin, wantedBytes: Bytes | undefined): Bytes {
  const wanted = wantedBytes ?? context.base.sizeBytes;
  return wanted > origin.sizeBytes ? wanted : origin.sizeBytes;
}

function recordIntent(
  { store, nowMs }: Context,
  { op, kind, key, parent, labels }: CreateRequest,
  origin: Origin,
  sizeBytes: Bytes,
): Promise<CreatingRecord> {
  return store.transaction(`${op}: intent`, (tx) => {
    requireFreeKey(op, tx, key);
    const parentId = parent === '' ? null : requireParent(op, tx, parent).id;
    const now = nowMs();
    const record: CreatingRecord = {
      id: tx.nextSnapshotId(),
      key,
      state: 'creating',
      kind,
      parentId,
      deviceId: tx.nextDeviceId(),
      fsType: origin.fsType,
      sizeBytes,
      labels,
      createdAtMs: now,
      updatedAtMs: now,
      origin: origin.totals,
    };
    tx.insertSnapshot(record);
    return record;
  });
}

function moveToNextId({ store }: Context, record: CreatingRecord, taken: DeviceId): Promise<CreatingRecord> {
  return store.transaction('create: next id', (tx) => {
    tx.markForeign(taken);
    const moved = { ...record, deviceId: tx.nextDeviceId() };
    tx.updateSnapshot(moved);
    return moved;
  });
}

function forget({ store }: Context, record: CreatingRecord): Promise<void> {
  return store.transaction('create: forget', (tx) => tx.forgetSnapshot(record.id));
}

/** Refusals of our own pass unchanged; whatever the kernel or a program said is told with the pool's state. */
function explainCreate(context: Context, op: string, error: unknown): Promise<DmthinError> | DmthinError {
  if (error instanceof DmthinError && error.detail.op === op) return error;
  return context.pool.explain(error, op, 'allocate', 'internal');
}

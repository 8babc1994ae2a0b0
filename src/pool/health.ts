/** Whether a pool can be used, and what to do when it cannot. Pure. */
import { DmthinError } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import type { HealthyPoolStatus, PoolStatus } from '../dm/status.ts';

/**
 * What a caller is about to do with the pool.
 * `read`: use devices that exist; `change`: make or delete ids; `allocate`: make something that will need space.
 */
export type PoolUse = 'read' | 'change' | 'allocate';

/** Below these shares nothing new is made: what exists keeps the rest to grow into. */
export interface Floors {
  readonly dataPercent: number;
  readonly metadataPercent: number;
}

export const DEFAULT_FLOORS: Floors = { dataPercent: 2, metadataPercent: 5 };

export const POOL_REPAIR =
  'stop dmthin, deactivate the pool, run thin_check and if it complains thin_repair on its metadata device, activate it again';

export function poolMissing(op: string, name: DmName): DmthinError {
  return new DmthinError('unavailable', {
    op,
    what: 'the thin pool does not exist',
    device: name,
    errno: 'ENXIO',
    nextStep: `activate it: dmthin pool activate ${name}, or your own way; it is found by itself. A new one: dmthin pool create ${name}`,
  });
}

/**
 * A pool that could not write its metadata still answers that it made or deleted an id: it did, in memory, where the next
 * activation will not find it. What was asked of it counts only when it still commits afterwards.
 * @throws unavailable
 */
export function requireCommitting(op: string, name: DmName, status: PoolStatus): HealthyPoolStatus {
  const refuse = (what: string, nextStep: string): DmthinError =>
    new DmthinError('unavailable', { op, what, device: name, poolStatus: status.raw, nextStep });
  if (status.kind !== 'ok') throw refuse('the thin pool has failed', POOL_REPAIR);
  if (status.needsCheck) throw refuse('the thin pool needs a check', POOL_REPAIR);
  if (status.mode === 'ro')
    throw refuse('the thin pool is read-only', `the kernel log has the reason (dmesg); then ${POOL_REPAIR}`);
  return status;
}

/** @returns the status when the pool can be used so. @throws unavailable; resource_exhausted. */
export function requireUsable(
  op: string,
  name: DmName,
  status: PoolStatus,
  use: PoolUse,
  floors: Floors,
): HealthyPoolStatus {
  if (use === 'read' && status.kind === 'ok') return status;
  const committing = requireCommitting(op, name, status);
  return use === 'allocate' ? requireRoom(op, name, committing, floors) : committing;
}

function requireRoom(op: string, name: DmName, status: HealthyPoolStatus, floors: Floors): HealthyPoolStatus {
  const refuse = (what: string, nextStep: string): DmthinError =>
    new DmthinError('resource_exhausted', { op, what, device: name, poolStatus: status.raw, nextStep });
  const grow = 'grow the pool (dmthin pool extend, or your own way) or remove snapshots and images';
  if (status.mode === 'out_of_data_space') throw refuse('the thin pool is out of data space', grow);
  const data = freePercent(status.usedDataBlocks, status.totalDataBlocks);
  if (data < floors.dataPercent) {
    throw refuse(`only ${data.toFixed(1)}% of the thin pool's data space is free`, grow);
  }
  const metadata = freePercent(status.usedMetadataBlocks, status.totalMetadataBlocks);
  if (metadata < floors.metadataPercent) {
    throw refuse(`only ${metadata.toFixed(1)}% of the thin pool's metadata space is free`, grow);
  }
  return status;
}

function freePercent(used: number, total: number): number {
  return total === 0 ? 0 : ((total - used) / total) * 100;
}

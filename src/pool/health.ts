/** Whether a pool can be used, and what to do when it cannot. Pure. */
import { DmthinError } from '../base/errors.ts';
import { type Bytes, type DmName, formatSize } from '../base/units.ts';
import { type HealthyPoolStatus, METADATA_BLOCK_BYTES, type PoolStatus } from '../dm/status.ts';

/**
 * What a caller is about to do with the pool.
 * `read`: use devices that exist; `change`: make or delete ids; `keep`: promise that what was written stays; `allocate`: make
 * something that will need space.
 */
export type PoolUse = 'read' | 'change' | 'keep' | 'allocate';

/** How much must be free: a share of the whole, or a size. */
export type Floor = { readonly percent: number } | { readonly bytes: Bytes };

/** Below these nothing new is made: what exists keeps the rest to grow into. */
export interface Floors {
  readonly data: Floor;
  readonly metadata: Floor;
}

export const DEFAULT_FLOORS = { data: { percent: 2 }, metadata: { percent: 5 } } as const satisfies Floors;

export const POOL_REPAIR =
  'end what uses the pool, take it out of the kernel, run thin_check and if it complains thin_repair on its metadata device, bring it back: docs/recovery.md has the commands';

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
  if (status.mode === 'ro' && status.usedMetadataBlocks >= status.totalMetadataBlocks)
    throw refuse('the thin pool is read-only: its metadata is full', GROW);
  if (status.mode === 'ro')
    throw refuse('the thin pool is read-only', `the kernel log has the reason (dmesg); then ${POOL_REPAIR}`);
  return status;
}

/**
 * @param dataBlockBytes size of the pool's blocks; asked for where the floor of the data is a size.
 * @returns the status when the pool can be used so. @throws unavailable; resource_exhausted.
 */
export function requireUsable(
  op: string,
  name: DmName,
  status: PoolStatus,
  use: PoolUse,
  floors: Floors,
  dataBlockBytes: number,
): HealthyPoolStatus {
  if (use === 'read' && status.kind === 'ok') return status;
  const committing = requireCommitting(op, name, status);
  switch (use) {
    case 'read':
    case 'change':
      return committing;
    case 'keep':
      return requireSpace(op, name, committing);
    case 'allocate':
      return requireRoom(op, name, requireSpace(op, name, committing), floors, dataBlockBytes);
    default:
      return use satisfies never;
  }
}

const GROW = 'grow the pool (dmthin pool extend, or your own way) or remove snapshots and images';

function requireSpace(op: string, name: DmName, status: HealthyPoolStatus): HealthyPoolStatus {
  if (status.mode !== 'out_of_data_space') return status;
  throw new DmthinError('resource_exhausted', {
    op,
    what: 'the thin pool is out of data space',
    device: name,
    poolStatus: status.raw,
    nextStep: GROW,
  });
}

function requireRoom(
  op: string,
  name: DmName,
  status: HealthyPoolStatus,
  floors: Floors,
  dataBlockBytes: number,
): HealthyPoolStatus {
  const low =
    tellLow('data', status.usedDataBlocks, status.totalDataBlocks, dataBlockBytes, floors.data) ??
    tellLow(
      'metadata',
      status.usedMetadataBlocks,
      status.totalMetadataBlocks,
      METADATA_BLOCK_BYTES,
      floors.metadata,
    );
  if (low === undefined) return status;
  throw new DmthinError('resource_exhausted', {
    op,
    what: low,
    device: name,
    poolStatus: status.raw,
    nextStep: GROW,
  });
}

/** @returns what is wrong; undefined when enough is free. */
function tellLow(
  space: string,
  used: number,
  total: number,
  blockBytes: number,
  floor: Floor,
): string | undefined {
  if (!isBelow(used, total, blockBytes, floor)) return undefined;
  return 'bytes' in floor
    ? `only ${formatSize((total - used) * blockBytes)} of the thin pool's ${space} space are free, less than the ${formatSize(floor.bytes)} to keep`
    : `only ${freePercent(used, total).toFixed(1)}% of the thin pool's ${space} space is free`;
}

/** Whether less is free than the floor wants. @param unitBytes what `used` and `total` count; only for a floor that is a size. */
export function isBelow(used: number, total: number, unitBytes: number, floor: Floor): boolean {
  if ('bytes' in floor) return (total - used) * unitBytes < floor.bytes;
  return freePercent(used, total) < floor.percent;
}

/** 0 of nothing. */
export function freePercent(used: number, total: number): number {
  return total === 0 ? 0 : ((total - used) / total) * 100;
}

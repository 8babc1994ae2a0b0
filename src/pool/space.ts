/** How much room a pool has, and how much it should get. Reasons: docs/decisions/0011-growth.md. Pure. */
import { type Bytes, bytes, sectorsToBytes, type Sectors } from '../base/units.ts';
import { type HealthyPoolStatus, METADATA_BLOCK_BYTES } from '../dm/status.ts';
import { freePercent } from './health.ts';
import type { Role } from './provision-request.ts';
import { MAX_METADATA_BYTES } from './provision-geometry.ts';

/** Below this share of free space a pool grows, or those who can grow it are told. */
export const LOW_PERCENT = 20;
/** Where growth does not come, it is told again below each of these. */
const LEVELS = [LOW_PERCENT, 10, 5, 2] as const;

/** A pool grows by this share of its size. */
const DATA_STEP = 0.25;
/** Metadata is small, and to run out of it is the worst that can happen. */
const METADATA_STEP = 0.5;
const GRAIN_BYTES = 1024 * 1024;

export function freePercentOf(status: HealthyPoolStatus, role: Role): number {
  return role === 'data'
    ? freePercent(status.usedDataBlocks, status.totalDataBlocks)
    : freePercent(status.usedMetadataBlocks, status.totalMetadataBlocks);
}

/** How low the pool is: 0 not at all, and one more below each level. */
export function lowLevel(status: HealthyPoolStatus, role: Role): number {
  const free = freePercentOf(status, role);
  return LEVELS.filter((level) => free < level).length;
}

/**
 * The size that a volume should grow to.
 * @param maxDataBytes the operator's limit; undefined: data does not grow by itself.
 * @returns undefined when it is at its limit.
 */
export function nextSize(
  role: Role,
  status: HealthyPoolStatus,
  blockSectors: Sectors,
  maxDataBytes: Bytes | undefined,
): Bytes | undefined {
  const isData = role === 'data';
  const nowBytes = isData
    ? status.totalDataBlocks * sectorsToBytes(blockSectors)
    : status.totalMetadataBlocks * METADATA_BLOCK_BYTES;
  const maxBytes = isData ? maxDataBytes : MAX_METADATA_BYTES;
  if (maxBytes === undefined) return undefined;
  const grain = isData ? Math.max(GRAIN_BYTES, sectorsToBytes(blockSectors)) : GRAIN_BYTES;
  const wanted = Math.ceil((nowBytes * (1 + (isData ? DATA_STEP : METADATA_STEP))) / grain) * grain;
  // Less than a block is no growth.
  const smallest = isData ? sectorsToBytes(blockSectors) : METADATA_BLOCK_BYTES;
  const size = Math.min(wanted, maxBytes);
  return size >= nowBytes + smallest ? bytes(size) : undefined;
}

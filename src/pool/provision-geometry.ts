/** How a pool's parts are sized. Reasons and figures: docs/decisions/0005-pool-geometry.md. Pure. */
import { DmthinError } from '../base/errors.ts';
import { type Bytes, bytes, formatSize, type Sectors, sectors, sectorsToBytes } from '../base/units.ts';
import type { PoolFeature } from '../dm/tables.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** 64 KiB: the smallest block that dm-thin has, so that a small write after a snapshot copies least. */
export const DEFAULT_BLOCK_SECTORS: Sectors = sectors(128);
const MAX_BLOCK_SECTORS = 2_097_152;

/** What one mapping takes, about. */
export const METADATA_BYTES_PER_BLOCK = 48;
/** Shared data is mapped once for each device that has written next to it: room for as many mappings again. */
const MAPPING_HEADROOM = 2;
/** 4 KiB for each of 16,384 devices, however small the pool. */
const DEVICE_HEADROOM_BYTES = 64 * MIB;
const METADATA_GRAIN_BYTES = 4 * MIB;
export const MIN_METADATA_BYTES: Bytes = bytes(2 * MIB);
/** The kernel uses no more (THIN_METADATA_MAX_SECTORS): 15.875 GiB less its rounding. */
export const MAX_METADATA_BYTES: Bytes = sectorsToBytes(sectors(33_292_800));

/** The pool raises its event when fewer than a twentieth of its blocks are free. */
const LOW_WATER_DIVISOR = 20;

/**
 * None: blocks are zeroed before a device sees them, because otherwise a container that has its device raw reads what
 * another one left in the unwritten rest of a block; discards go down, so that loop files shrink; and a full pool
 * queues writes for the kernel's `no_space_timeout`, which leaves time to grow it.
 */
export const POOL_FEATURES_MADE: readonly PoolFeature[] = [];

/** @throws invalid_argument when dm-thin has no such block size. */
export function checkBlockSize(size: Bytes): Sectors {
  const count = size / 512;
  if (
    !Number.isInteger(count) ||
    count < DEFAULT_BLOCK_SECTORS ||
    count > MAX_BLOCK_SECTORS ||
    count % 128 !== 0
  ) {
    throw invalid(`${formatSize(size)} is not a block size: a multiple of 64 KiB, up to 1 GiB`);
  }
  return sectors(count);
}

/** What a metadata device of this size can be used as. @throws invalid_argument */
export function checkMetadataSize(size: Bytes): Bytes {
  if (size < MIN_METADATA_BYTES || size > MAX_METADATA_BYTES || size % 4096 !== 0) {
    throw invalid(
      `${formatSize(size)} is not a metadata size: a multiple of 4 KiB, from ${formatSize(MIN_METADATA_BYTES)} to ${formatSize(MAX_METADATA_BYTES)}`,
    );
  }
  return size;
}

export function defaultMetadataBytes(dataBytes: Bytes, blockSectors: Sectors): Bytes {
  const mappings = (dataBytes / sectorsToBytes(blockSectors)) * METADATA_BYTES_PER_BLOCK * MAPPING_HEADROOM;
  const wanted = roundUp(mappings + DEVICE_HEADROOM_BYTES, METADATA_GRAIN_BYTES);
  return bytes(Math.min(wanted, MAX_METADATA_BYTES));
}

/** The pool's length: whole blocks. @throws invalid_argument when there is not even one. */
export function poolLength(dataBytes: Bytes, blockSectors: Sectors): Sectors {
  const blocks = Math.floor(dataBytes / sectorsToBytes(blockSectors));
  if (blocks === 0) {
    throw invalid(
      `a data size of ${formatSize(dataBytes)} has no room for one block of ${formatSize(sectorsToBytes(blockSectors))}`,
    );
  }
  return sectors(blocks * blockSectors);
}

export function lowWaterBlocks(length: Sectors, blockSectors: Sectors): number {
  return Math.ceil(length / blockSectors / LOW_WATER_DIVISOR);
}

function roundUp(value: number, grain: number): number {
  return Math.ceil(value / grain) * grain;
}

function invalid(what: string): DmthinError {
  return new DmthinError('invalid_argument', { op: 'pool create', what });
}

/**
 * The superblock of a thin pool's metadata: enough of it to know a pool again.
 * Source: kernel, drivers/md/dm-thin-metadata.c, `struct thin_disk_superblock` (little-endian, block 0).
 */
import { type Sectors, sectors } from '../base/units.ts';

/** The kernel formats a metadata device whose first block is zero throughout, and reads its superblock from any other. */
export const SUPERBLOCK_BYTES = 4096;

const MAGIC = 27_022_010n;
const MAGIC_OFFSET = 32;
/** The data space map's root begins with its number of blocks. */
const DATA_BLOCKS_OFFSET = 64;
/** And so does that of the metadata itself. */
const METADATA_BLOCKS_OFFSET = 192;
const BLOCK_SECTORS_OFFSET = 336;

export interface ThinSuperblock {
  readonly blockSectors: Sectors;
  /** Blocks that the pool had when it was last committed. */
  readonly dataBlocks: number;
  /** Of 4 KiB each, that the metadata device had then. */
  readonly metadataBlocks: number;
}

/** @returns undefined when the block is not a thin pool's. Its checksum is left to the kernel, which refuses a damaged one. */
export function parseThinSuperblock(block: Buffer): ThinSuperblock | undefined {
  if (block.length < SUPERBLOCK_BYTES || block.readBigUInt64LE(MAGIC_OFFSET) !== MAGIC) return undefined;
  return {
    blockSectors: sectors(block.readUInt32LE(BLOCK_SECTORS_OFFSET)),
    dataBlocks: Number(block.readBigUInt64LE(DATA_BLOCKS_OFFSET)),
    metadataBlocks: Number(block.readBigUInt64LE(METADATA_BLOCKS_OFFSET)),
  };
}

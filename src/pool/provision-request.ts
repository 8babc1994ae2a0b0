/** What a pool is asked to be, and the words in which one speaks of what is there. */
import type { Bytes, DmName, Sectors } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import type { PoolTable } from '../dm/tables.ts';
import type { ThinSuperblock } from './block-devices-thin-metadata.ts';
import type { PoolChanges } from './pool-changes.ts';
import type { BlockDevices } from './block-devices.ts';

export interface DiskBacking {
  readonly kind: 'disk';
  readonly device: string;
  /** undefined: from the disk's size; for a disk that holds a pool, as that has it. */
  readonly metadataBytes: Bytes | undefined;
}

export type PoolBacking =
  /** Two sparse files NAME.data and NAME.meta in a directory, behind loop devices. */
  | {
      readonly kind: 'loop';
      readonly directory: string;
      /** undefined: as the file is that is there. */
      readonly dataBytes: Bytes | undefined;
      readonly metadataBytes: Bytes | undefined;
    }
  /** One disk, split. */
  | DiskBacking
  /** Two disks, partitions or logical volumes. */
  | { readonly kind: 'devices'; readonly data: string; readonly metadata: string };

export interface PoolRequest {
  readonly name: DmName;
  readonly backing: PoolBacking;
  /** undefined: as the pool on the metadata device has it, else the default. */
  readonly blockSectors: Sectors | undefined;
  /** Take volumes that hold something else. Never formats over a thin pool's metadata. */
  readonly force: boolean;
  /** Why there must be a pool already, so that none may be made; undefined: one may. */
  readonly mustExist?: string | undefined;
}

export interface ProvisionDeps {
  readonly dm: DmClient;
  readonly devices: BlockDevices;
}

export interface ChangeDeps extends ProvisionDeps {
  readonly poolChanges: PoolChanges;
}

export const ROLES = ['data', 'metadata'] as const;
export type Role = (typeof ROLES)[number];

/**
 * What a volume holds. Blank is what may be taken without asking: libblkid knows no signature on it, and it begins with
 * zeroes; the first 4 KiB of a metadata device, because those tell the kernel to format it; the first MiB of a data
 * device, because what has no signature (a raw database, a cipher) rarely begins with that many.
 */
export type Content =
  | { readonly kind: 'blank' }
  | { readonly kind: 'pool'; readonly superblock: ThinSuperblock }
  | { readonly kind: 'foreign'; readonly what: string };

export interface Volume {
  readonly path: string;
  readonly kind: 'absent' | 'file' | 'block' | 'other';
  readonly sizeBytes: Bytes | undefined;
  readonly content: Content;
  /** The device to give to the kernel; undefined for a file without a loop device. */
  readonly device: string | undefined;
  /** `major:minor` of the block device, or of every loop device on the file. */
  readonly numbers: readonly string[];
  /** The device is mounted, or another device stands on it. */
  readonly inUse: boolean;
  /** The devices that stand on it. */
  readonly heldBy: readonly string[];
}

export type LivePool =
  | { readonly kind: 'absent' }
  | { readonly kind: 'other'; readonly target: string }
  | { readonly kind: 'pool'; readonly table: PoolTable };

/** What a pool is asked to be, and what is there before anything is changed. Nothing here changes anything. */
import { join } from 'node:path';
import { DmthinError } from '../base/errors.ts';
import type { Bytes, DmName, Sectors } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import { parsePoolTable, type PoolTable } from '../dm/tables.ts';
import { parseThinSuperblock, SUPERBLOCK_BYTES, type ThinSuperblock } from './block-devices-thin-metadata.ts';
import type { BlockDevices } from './block-devices.ts';

export type PoolBacking =
  /** Two sparse files NAME.data and NAME.meta in a directory, behind loop devices. */
  | {
      readonly kind: 'loop';
      readonly directory: string;
      /** undefined: as the file is that is there. */
      readonly dataBytes: Bytes | undefined;
      readonly metadataBytes: Bytes | undefined;
    }
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

export interface PoolFacts {
  readonly live: LivePool;
  readonly volumes: Readonly<Record<Role, Volume>>;
  /** False where the loop files' directory has yet to be made. */
  readonly directoryExists: boolean;
}

/** The volumes' paths: given, or NAME.data and NAME.meta. */
export function volumePaths({ name, backing }: Pick<PoolRequest, 'name' | 'backing'>): Record<Role, string> {
  if (backing.kind === 'devices') return { data: backing.data, metadata: backing.metadata };
  return loopFilePaths(name, backing.directory);
}

export function loopFilePaths(name: DmName, directory: string): Record<Role, string> {
  return { data: join(directory, `${name}.data`), metadata: join(directory, `${name}.meta`) };
}

/** @throws failed_precondition when the device of that name has no live table. */
export async function readLivePool(dm: DmClient, name: DmName): Promise<LivePool> {
  if ((await dm.info(name)) === undefined) return { kind: 'absent' };
  const lines = await dm.table(name);
  const [line] = lines;
  if (line === undefined) {
    throw new DmthinError('failed_precondition', {
      op: 'look at the pool',
      device: name,
      what: 'the device is there and has no table',
      nextStep: `dmsetup remove ${name}`,
    });
  }
  if (line.target !== 'thin-pool') return { kind: 'other', target: line.target };
  return { kind: 'pool', table: parsePoolTable(name, lines) };
}

export async function readPoolFacts(
  request: PoolRequest,
  { dm, devices }: ProvisionDeps,
): Promise<PoolFacts> {
  const live = await readLivePool(dm, request.name);
  const paths = volumePaths(request);
  const { backing } = request;
  return {
    live,
    // A live pool's volumes change under our eyes and are in use by it: what they hold proves nothing.
    volumes: {
      data: await readVolume(devices, paths.data, 'data', live.kind === 'absent'),
      metadata: await readVolume(devices, paths.metadata, 'metadata', live.kind === 'absent'),
    },
    directoryExists: backing.kind === 'devices' || (await devices.describe(backing.directory)) !== undefined,
  };
}

async function readVolume(devices: BlockDevices, path: string, role: Role, probe: boolean): Promise<Volume> {
  const facts = await devices.describe(path);
  const blank = { kind: 'blank' } as const;
  if (facts === undefined) {
    const nothing = { sizeBytes: undefined, device: undefined, numbers: [], inUse: false, heldBy: [] };
    return { path, kind: 'absent', content: blank, ...nothing };
  }
  const kind = facts.kind === 'directory' ? 'other' : facts.kind;
  const nodes = kind === 'block' ? [path] : kind === 'file' ? await devices.loopsOf(path) : [];
  const [device] = nodes;
  const described = await Promise.all(nodes.map(async (node) => (await devices.describe(node))?.number));
  const numbers = described.filter((number) => number !== undefined);
  const inUse = probe && device !== undefined && (await devices.isInUse(device));
  const heldBy = inUse ? (await Promise.all(numbers.map((number) => devices.holders(number)))).flat() : [];
  return {
    path,
    kind,
    sizeBytes: facts.sizeBytes,
    content: probe && kind !== 'other' ? await readContent(devices, path, role) : blank,
    device,
    ...{ numbers, inUse, heldBy },
  };
}

const DATA_START_BYTES = 1024 * 1024;

async function readContent(devices: BlockDevices, path: string, role: Role): Promise<Content> {
  const start = await devices.readStart(path, role === 'data' ? DATA_START_BYTES : SUPERBLOCK_BYTES);
  const superblock = parseThinSuperblock(start);
  if (superblock !== undefined) return { kind: 'pool', superblock };
  const signature = await devices.signature(path);
  if (signature !== undefined) return { kind: 'foreign', what: signature };
  const offset = start.findIndex((byte) => byte !== 0);
  return offset === -1 ? { kind: 'blank' } : { kind: 'foreign', what: `data at byte ${offset}` };
}

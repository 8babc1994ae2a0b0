/**
 * One disk for both: its first part holds the metadata, the rest the data, each behind a linear device NAME_metadata and
 * NAME_data. Where the parts meet is written nowhere but in the pool's own metadata, which knows how large it is.
 * Nothing here changes anything.
 */
import { DmthinError } from '../base/errors.ts';
import {
  type Bytes,
  bytes,
  bytesToSectors,
  dmName,
  type DmName,
  type Sectors,
  sectors,
} from '../base/units.ts';
import { type DmClient, type DmLine, devicePath } from '../dm/client.ts';
import { METADATA_BLOCK_BYTES } from '../dm/status.ts';
import { linearTable, parseLinearTable } from '../dm/tables.ts';
import type { BlockDevices, PathFacts } from './block-devices.ts';
import {
  type Content,
  type DiskBacking,
  type PoolRequest,
  type ProvisionDeps,
  type Role,
  ROLES,
  type Volume,
} from './provision-request.ts';
import { DEFAULT_BLOCK_SECTORS, defaultMetadataBytes } from './provision-geometry.ts';

export interface DiskParts {
  readonly disk: string;
  readonly bytes: Readonly<Record<Role, Bytes>>;
  /** Those whose linear device is not there yet. */
  readonly missing: readonly Role[];
}

const GRAIN_BYTES = 1024 * 1024;
export function partName(pool: DmName, role: Role): DmName {
  return dmName(`${pool}_${role}`);
}

/** The table line of a part: the metadata from the disk's start, the data behind it. */
export function partTable({ disk, bytes: sizes }: DiskParts, role: Role): DmLine {
  const offset = role === 'metadata' ? sectors(0) : bytesToSectors(sizes.metadata);
  return linearTable(bytesToSectors(sizes[role]), disk, offset);
}

/** How volumes are looked at: provision-facts.ts has the means. */
export interface Look {
  readonly volume: (path: string, role: Role) => Promise<Volume>;
  readonly content: (path: string) => Promise<Content>;
}

/** @throws already_exists, failed_precondition when the parts, or what is on the disk, do not fit. */
export async function readDisk(
  request: PoolRequest,
  backing: DiskBacking,
  deps: ProvisionDeps,
  look: Look,
): Promise<{ volumes: Record<Role, Volume>; parts: DiskParts | undefined }> {
  const disk = await deps.devices.describe(backing.device);
  if (disk?.kind !== 'block') {
    const volume = await look.volume(backing.device, 'data');
    return { volumes: { data: volume, metadata: volume }, parts: undefined };
  }
  const missing: Role[] = [];
  for (const role of ROLES)
    if (!(await hasPart(request.name, role, backing, disk, deps.dm))) missing.push(role);
  const content = await look.content(backing.device);
  const sizes = partSizes(request, backing, disk.sizeBytes, content);
  const inUse = missing.length === ROLES.length && (await deps.devices.isInUse(backing.device));
  const heldBy = inUse && disk.number !== undefined ? await deps.devices.holders(disk.number) : [];
  const read = (role: Role): Promise<Volume> | Volume =>
    missing.includes(role)
      ? {
          path: backing.device,
          kind: 'block',
          sizeBytes: sizes[role],
          content: role === 'metadata' ? content : { kind: 'blank' },
          device: backing.device,
          ...{ numbers: [], inUse, heldBy },
        }
      : look.volume(devicePath(partName(request.name, role)), role);
  return {
    volumes: { data: await read('data'), metadata: await read('metadata') },
    parts: { disk: backing.device, bytes: sizes, missing },
  };
}

async function hasPart(
  pool: DmName,
  role: Role,
  { device }: DiskBacking,
  disk: PathFacts,
  dm: DmClient,
): Promise<boolean> {
  const name = partName(pool, role);
  if ((await dm.info(name)) === undefined) return false;
  const part = parseLinearTable(name, await dm.table(name));
  if (part.device === disk.number) return true;
  throw new DmthinError('already_exists', {
    op: `pool create ${pool}`,
    device: name,
    what: `a device of the name that its ${role} would get stands on ${part.device}, not on ${device}`,
    nextStep: `dmsetup table ${name} shows it; choose another name for another pool`,
  });
}

function partSizes(
  { name, blockSectors }: PoolRequest,
  { device, metadataBytes }: DiskBacking,
  diskBytes: Bytes,
  content: Content,
): Record<Role, Bytes> {
  const wanted =
    content.kind === 'pool'
      ? content.superblock.metadataBlocks * METADATA_BLOCK_BYTES
      : Math.floor(
          (metadataBytes ?? defaultMetadataBytes(diskBytes, blockSectors ?? DEFAULT_BLOCK_SECTORS)) /
            GRAIN_BYTES,
        ) * GRAIN_BYTES;
  if (wanted < diskBytes) return { metadata: bytes(wanted), data: bytes(diskBytes - wanted) };
  throw new DmthinError('failed_precondition', {
    op: `pool create ${name}`,
    device,
    what:
      content.kind === 'pool'
        ? 'it holds the metadata of a pool and nothing else'
        : 'it has no room for data',
    nextStep:
      content.kind === 'pool'
        ? 'give it as --metadata-device, with the --data-device that belongs to it'
        : 'take a larger disk',
  });
}

export interface FoundPart {
  readonly role: Role;
  readonly name: DmName;
  /** Path of the disk; its number where it has no path. */
  readonly disk: string;
  readonly diskBytes: Bytes;
  readonly offset: Sectors;
}

/** The parts that a live pool stands on; none for a pool that is on other things. */
export async function readParts(
  pool: DmName,
  backing: Readonly<Record<Role, { readonly device: string }>>,
  { dm, devices }: { readonly dm: DmClient; readonly devices: BlockDevices },
): Promise<FoundPart[]> {
  const found: FoundPart[] = [];
  for (const role of ROLES) {
    const name = partName(pool, role);
    if (backing[role].device !== devicePath(name)) continue;
    const { device, offset } = parseLinearTable(name, await dm.table(name));
    const disk = (await devices.byNumber(device))?.path ?? device;
    found.push({
      role,
      name,
      disk,
      diskBytes: (await devices.describe(disk))?.sizeBytes ?? bytes(0),
      offset,
    });
  }
  return found;
}

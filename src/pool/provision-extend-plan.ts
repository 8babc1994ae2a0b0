/** Decides how a live pool grows. Pure: facts in, steps out; every refusal is an error with a next step. */
import { DmthinError, type ErrorCode } from '../base/errors.ts';
import { type Bytes, bytes, type DmName, formatSize, sectorsToBytes } from '../base/units.ts';
import { METADATA_BLOCK_BYTES, type PoolStatus } from '../dm/status.ts';
import type { PoolTable } from '../dm/tables.ts';
import { POOL_REPAIR } from './health.ts';
import type { Backing } from './provision-backing.ts';
import type { FoundPart } from './provision-disk.ts';
import { type Role, ROLES } from './provision-request.ts';
import { MAX_METADATA_BYTES, poolLength } from './provision-geometry.ts';

export interface ExtendRequest {
  readonly name: DmName;
  /** The new sizes of files behind loop devices; undefined: as large as the device is now. */
  readonly bytes: Readonly<Record<Role, Bytes | undefined>>;
}

export interface ExtendVolume extends Backing {
  readonly deviceBytes: Bytes;
  /** Of the file behind a loop device. */
  readonly fileBytes: Bytes | undefined;
  /** The part of a disk that it is; only the last part of a disk can grow. */
  readonly part?: FoundPart | undefined;
}

export interface ExtendFacts {
  readonly table: PoolTable;
  readonly status: PoolStatus;
  readonly suspended: boolean;
  /** LVM made the pool, and keeps its size in records of its own. */
  readonly isLvm: boolean;
  readonly volumes: Readonly<Record<Role, ExtendVolume>>;
}

export type ExtendStep =
  | { readonly do: 'grow_file'; readonly file: string; readonly fromBytes: Bytes; readonly sizeBytes: Bytes }
  | { readonly do: 'refresh_loop'; readonly device: string; readonly file: string }
  | { readonly do: 'grow_part'; readonly part: FoundPart; readonly sizeBytes: Bytes }
  /** Gives the kernel the new table; it then takes the devices' new sizes. */
  | { readonly do: 'reload'; readonly table: PoolTable; readonly grows: readonly Growth[] };

export interface Growth {
  readonly role: Role;
  readonly fromBytes: Bytes;
  readonly toBytes: Bytes;
}

/** @returns no steps when the pool has all that its devices have. */
export function planExtend(request: ExtendRequest, facts: ExtendFacts): ExtendStep[] {
  refuseUnfit(request.name, facts);
  const steps: ExtendStep[] = [];
  const after = { data: facts.volumes.data.deviceBytes, metadata: facts.volumes.metadata.deviceBytes };
  for (const role of ROLES) {
    const volume = facts.volumes[role];
    const wanted = wantedFileBytes(request, role, volume);
    if (volume.part !== undefined && role === 'data') {
      const { part } = volume;
      const sizeBytes = bytes(Math.max(0, part.diskBytes - sectorsToBytes(part.offset)));
      if (sizeBytes > volume.deviceBytes) {
        steps.push({ do: 'grow_part', part, sizeBytes });
        after.data = sizeBytes;
      }
    }
    if (volume.file === undefined || volume.fileBytes === undefined) continue;
    const { file, fileBytes, device } = volume;
    const sizeBytes = wanted ?? fileBytes;
    if (sizeBytes > fileBytes) steps.push({ do: 'grow_file', file, fromBytes: fileBytes, sizeBytes });
    if (sizeBytes > volume.deviceBytes) {
      steps.push({ do: 'refresh_loop', device, file });
      after[role] = sizeBytes;
    }
  }
  const grows = growths(request.name, facts, after);
  if (grows.length > 0) steps.push({ do: 'reload', table: newTable(facts.table, after.data), grows });
  return steps;
}

export function describeExtendStep(step: ExtendStep, name: DmName): string {
  switch (step.do) {
    case 'grow_file':
      return `grow ${step.file} from ${formatSize(step.fromBytes)} to ${formatSize(step.sizeBytes)}`;
    case 'refresh_loop':
      return `let ${step.device} show all of ${step.file}`;
    case 'grow_part':
      return `grow /dev/mapper/${step.part.name} to ${formatSize(step.sizeBytes)}, the end of ${step.part.disk}`;
    case 'reload': {
      const parts = step.grows.map(
        ({ role, fromBytes, toBytes }) => `${role} ${formatSize(fromBytes)} -> ${formatSize(toBytes)}`,
      );
      return `grow the pool /dev/mapper/${name}: ${parts.join(', ')}`;
    }
    default:
      return step satisfies never;
  }
}

function refuseUnfit(name: DmName, { status, suspended, isLvm }: ExtendFacts): void {
  if (isLvm) {
    const nextStep =
      'lvextend --size +SIZE VG/POOL; for its metadata: lvextend --poolmetadatasize +SIZE VG/POOL';
    throw refusal('failed_precondition', name, 'it is an LVM pool, which LVM alone may resize', nextStep);
  }
  const what =
    status.kind !== 'ok'
      ? 'the pool has failed'
      : status.needsCheck
        ? 'the pool needs a check: the kernel does not grow it before'
        : undefined;
  if (what !== undefined) {
    throw refusal('failed_precondition', name, what, POOL_REPAIR).with({ poolStatus: status.raw });
  }
  if (suspended) {
    throw refusal(
      'failed_precondition',
      name,
      'somebody has suspended it',
      `find out who; then dmsetup resume ${name}`,
    );
  }
}

function wantedFileBytes(
  { name, bytes: wantedBytes }: ExtendRequest,
  role: Role,
  volume: ExtendVolume,
): Bytes | undefined {
  const wanted = wantedBytes[role];
  if (wanted === undefined) return undefined;
  const option = role === 'data' ? '--data-size' : '--metadata-size';
  if (volume.fileBytes === undefined) {
    throw refusal(
      'invalid_argument',
      name,
      `its ${role} device ${volume.device} is not a file behind a loop device`,
      `grow the device by its own means, then run this command without ${option}`,
    );
  }
  if (wanted < volume.fileBytes) {
    const [has, asked] = [formatSize(volume.fileBytes), formatSize(wanted)];
    throw refusal(
      'invalid_argument',
      name,
      `its ${role} has ${has}, and ${option} ${asked} is less: pools only grow`,
    );
  }
  return wanted;
}

function growths(name: DmName, { table, status }: ExtendFacts, after: Record<Role, Bytes>): Growth[] {
  if (status.kind !== 'ok') return [];
  const fromData = sectorsToBytes(table.length);
  const toData = sectorsToBytes(poolLength(after.data, table.blockSectors));
  if (toData < fromData) {
    const what = `its data device has shrunk to ${formatSize(toData)}, below the pool's ${formatSize(fromData)}`;
    throw refusal('failed_precondition', name, what, 'give the device its old size back');
  }
  const fromMetadata = status.totalMetadataBlocks * METADATA_BLOCK_BYTES;
  const toMetadata = Math.min(after.metadata, MAX_METADATA_BYTES);
  const grows: Growth[] = [];
  if (toData > fromData) grows.push({ role: 'data', fromBytes: fromData, toBytes: toData });
  // Whole blocks, as the kernel counts them.
  if (Math.floor(toMetadata / METADATA_BLOCK_BYTES) > status.totalMetadataBlocks) {
    grows.push({ role: 'metadata', fromBytes: bytes(fromMetadata), toBytes: bytes(toMetadata) });
  }
  return grows;
}

/** The low-water mark keeps its share. */
function newTable(table: PoolTable, dataBytes: Bytes): PoolTable {
  const length = poolLength(dataBytes, table.blockSectors);
  return { ...table, length, lowWaterBlocks: Math.ceil((table.lowWaterBlocks * length) / table.length) };
}

function refusal(code: ErrorCode, name: DmName, what: string, nextStep?: string): DmthinError {
  return new DmthinError(code, { op: `pool extend ${name}`, what, nextStep });
}

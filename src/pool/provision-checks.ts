/** What `pool create` refuses, each with what to do about it. Pure. */
import { DmthinError, type ErrorCode } from '../base/errors.ts';
import { formatSize, type Sectors, sectorsToBytes } from '../base/units.ts';
import type { PoolTable } from '../dm/tables.ts';
import type { PoolFacts } from './provision-facts.ts';
import { type PoolRequest, type Role, ROLES, type Volume } from './provision-request.ts';

/** The volume is of the right kind and size, and nobody else has it. */
export function checkVolume(request: PoolRequest, role: Role, volume: Volume): void {
  const { kind, path, inUse, heldBy } = volume;
  const { backing } = request;
  if (backing.kind !== 'loop' && kind === 'absent') {
    throw refusal('not_found', request, `there is no ${role} device ${path}`);
  }
  if (kind === 'other' || (backing.kind !== 'loop' && kind === 'file')) {
    const hint = kind === 'file' ? 'for files, give --loop-dir' : undefined;
    throw refusal(
      'invalid_argument',
      request,
      `${path} is not a ${backing.kind === 'loop' ? 'file' : 'block device'}`,
      hint,
    );
  }
  if (backing.kind === 'loop' && kind === 'block') {
    throw refusal(
      'invalid_argument',
      request,
      `${path} is not a file`,
      'for disks, give --data-device and --metadata-device',
    );
  }
  if (inUse) {
    throw refusal(
      'busy',
      request,
      `${path} is in use: ${heldBy.length === 0 ? 'mounted, or part of another device' : `${heldBy.join(', ')} stands on it`}`,
      heldBy.length === 0
        ? 'lsblk, findmnt and dmsetup ls --tree show by what'
        : `if that is this pool under another name: dmsetup rename ${heldBy.join(' ')} ${request.name}`,
    );
  }
  checkFileSize(request, role, volume);
}

/** A file is never resized: one of another size than asked is another pool's, or a mistake. */
function checkFileSize(request: PoolRequest, role: Role, { path, sizeBytes }: Volume): void {
  const { backing } = request;
  if (backing.kind !== 'loop' || sizeBytes === undefined) return;
  const [wanted, option] =
    role === 'data' ? [backing.dataBytes, '--data-size'] : [backing.metadataBytes, '--metadata-size'];
  if (wanted === undefined || wanted === sizeBytes) return;
  throw refusal(
    'failed_precondition',
    request,
    `${path} is there with ${formatSize(sizeBytes)}, and ${option} asks for ${formatSize(wanted)}`,
    `leave ${option} out to take the file as it is, or choose another name or directory`,
  );
}

/** A pool's block size is fixed when the pool is made. @param where what has the size `found`. */
export function checkBlockSize(request: PoolRequest, found: Sectors, where: string): void {
  if (request.blockSectors === undefined || request.blockSectors === found) return;
  throw refusal(
    'failed_precondition',
    request,
    `${where} has blocks of ${formatSize(sectorsToBytes(found))}, which cannot be changed to ${formatSize(sectorsToBytes(request.blockSectors))}`,
    'leave --block-size out',
  );
}

/** The live pool is the one that is asked for, on the volumes that are asked for. */
export function checkSame(request: PoolRequest, volumes: PoolFacts['volumes'], table: PoolTable): void {
  const live = { data: table.dataDevice, metadata: table.metadataDevice };
  for (const role of ROLES) {
    const { path, numbers } = volumes[role];
    if (numbers.includes(live[role])) continue;
    throw refusal(
      'already_exists',
      request,
      `it is active with device ${live[role]} for its ${role}, not with ${path}`,
      `dmthin pool status ${request.name} shows what it stands on; choose another name for another pool`,
    );
  }
  checkBlockSize(request, table.blockSectors, 'it is active and');
  for (const role of ROLES) checkFileSize(request, role, volumes[role]);
}

/** An error that `pool create` ends with before it has changed anything. */
export function refusal(code: ErrorCode, request: PoolRequest, what: string, nextStep?: string): DmthinError {
  return new DmthinError(code, { op: `pool create ${request.name}`, what, nextStep });
}

/** Decides how a pool comes about from what is there. Pure: facts in, steps out; every refusal is an error with a next step. */
import { type Bytes, formatSize, type Sectors, sectorsToBytes } from '../base/units.ts';
import type { PoolTable } from '../dm/tables.ts';
import { checkBlockSize, checkSame, checkVolume, refusal } from './provision-checks.ts';
import type { DiskParts } from './provision-disk.ts';
import type { PoolFacts } from './provision-facts.ts';
import { type PoolRequest, type Role, ROLES } from './provision-request.ts';
import {
  DEFAULT_BLOCK_SECTORS,
  defaultMetadataBytes,
  lowWaterBlocks,
  POOL_FEATURES_MADE,
  poolLength,
} from './provision-geometry.ts';

export type PoolGeometry = Omit<PoolTable, 'dataDevice' | 'metadataDevice'>;

export type Step =
  | { readonly do: 'make_directory'; readonly path: string }
  | { readonly do: 'make_file'; readonly role: Role; readonly path: string; readonly sizeBytes: Bytes }
  | { readonly do: 'attach'; readonly role: Role; readonly path: string }
  | { readonly do: 'wipe'; readonly role: Role; readonly path: string; readonly holds: string }
  | { readonly do: 'split'; readonly parts: DiskParts }
  | { readonly do: 'activate'; readonly geometry: PoolGeometry; readonly formats: boolean };

export interface Plan {
  /** Empty: the pool is there as asked. */
  readonly steps: readonly Step[];
  /** The devices that are there already; those of the others come from the `attach` steps. */
  readonly devices: Readonly<Partial<Record<Role, string>>>;
}

/**
 * INVARIANT: no step writes to a metadata volume that holds a thin pool's superblock, with or without `force`.
 * @throws already_exists, failed_precondition, busy, not_found, invalid_argument: nothing may be changed.
 */
export function planPool(request: PoolRequest, facts: PoolFacts): Plan {
  const { live, volumes } = facts;
  if (live.kind === 'other') {
    throw refusal('already_exists', request, `a ${live.target} device has that name`, 'choose another name');
  }
  if (live.kind === 'pool') {
    checkSame(request, volumes, live.table);
    return { steps: [], devices: {} };
  }
  for (const role of ROLES) checkVolume(request, role, volumes[role]);
  const { data, metadata } = volumes;
  if (
    (data.path === metadata.path && facts.parts === undefined) ||
    data.numbers.some((number) => metadata.numbers.includes(number))
  ) {
    throw refusal('invalid_argument', request, `${data.path} cannot be both data and metadata`);
  }
  return metadata.content.kind === 'pool'
    ? planAssembly(request, facts, metadata.content.superblock)
    : planNew(request, facts);
}

/** The pool is on its volumes already: after a reboot, or after its removal from the kernel. */
function planAssembly(
  request: PoolRequest,
  { volumes, parts }: PoolFacts,
  superblock: { readonly blockSectors: Sectors; readonly dataBlocks: number },
): Plan {
  const { blockSectors, dataBlocks } = superblock;
  const { data } = volumes;
  if (data.sizeBytes === undefined) {
    throw refusal(
      'failed_precondition',
      request,
      `${volumes.metadata.path} holds a thin pool's metadata, but its data file ${data.path} is missing`,
      'bring the data file back, or move the metadata file away to make a new pool',
    );
  }
  checkBlockSize(request, blockSectors, `the pool on ${volumes.metadata.path}`);
  const neededBytes = dataBlocks * sectorsToBytes(blockSectors);
  if (data.sizeBytes < neededBytes) {
    throw refusal(
      'failed_precondition',
      request,
      `the pool on ${volumes.metadata.path} has ${formatSize(neededBytes)} of data, and ${data.path} only ${formatSize(data.sizeBytes)}`,
      'give the data device that belongs to this metadata device',
    );
  }
  const geometry = geometryOf(data.sizeBytes, blockSectors);
  return {
    steps: [...attachSteps(volumes), ...splitSteps(parts), { do: 'activate', geometry, formats: false }],
    devices: attachedDevices(volumes),
  };
}

function planNew(request: PoolRequest, { volumes, parts, directoryExists }: PoolFacts): Plan {
  if (request.mustExist !== undefined) {
    const { kind, path } = volumes.metadata;
    throw refusal(
      'failed_precondition',
      request,
      `${path} ${kind === 'absent' ? 'is not there' : "does not hold a thin pool's metadata"}, and ${request.mustExist}`,
      'is a filesystem not mounted, or a device named wrongly? To make a new pool: dmthin pool create',
    );
  }
  const blockSectors = request.blockSectors ?? DEFAULT_BLOCK_SECTORS;
  const sizes = newSizes(request, volumes, blockSectors);
  const { backing } = request;
  const steps: Step[] = [];
  if (backing.kind === 'loop') {
    if (!directoryExists) steps.push({ do: 'make_directory', path: backing.directory });
    for (const role of ROLES) {
      const { kind, path } = volumes[role];
      if (kind === 'absent') steps.push({ do: 'make_file', role, path, sizeBytes: sizes[role] });
    }
  }
  steps.push(...attachSteps(volumes));
  for (const role of ROLES) {
    const { content, path } = volumes[role];
    if (content.kind === 'blank') continue;
    if (content.kind === 'pool') {
      throw refusal(
        'failed_precondition',
        request,
        `${path} holds a thin pool's metadata and cannot be the ${role} device`,
        'were the two devices given the wrong way round?',
      );
    }
    if (!request.force) {
      throw refusal(
        'failed_precondition',
        request,
        `${path} is not blank: it holds ${content.what}`,
        `make sure that nothing on it is needed, then add --force`,
      );
    }
    steps.push({ do: 'wipe', role, path, holds: content.what });
  }
  steps.push(...splitSteps(parts));
  steps.push({ do: 'activate', geometry: geometryOf(sizes.data, blockSectors), formats: true });
  return { steps, devices: attachedDevices(volumes) };
}

function newSizes(
  request: PoolRequest,
  volumes: PoolFacts['volumes'],
  blockSectors: Sectors,
): Record<Role, Bytes> {
  const { backing } = request;
  const asked = backing.kind === 'loop' ? backing : undefined;
  const data = volumes.data.sizeBytes ?? asked?.dataBytes;
  if (data === undefined) {
    throw refusal(
      'invalid_argument',
      request,
      `there is no file ${volumes.data.path} yet`,
      'give --data-size',
    );
  }
  const metadata =
    volumes.metadata.sizeBytes ?? asked?.metadataBytes ?? defaultMetadataBytes(data, blockSectors);
  return { data, metadata };
}

function geometryOf(dataBytes: Bytes, blockSectors: Sectors): PoolGeometry {
  const length = poolLength(dataBytes, blockSectors);
  return {
    length,
    blockSectors,
    lowWaterBlocks: lowWaterBlocks(length, blockSectors),
    features: POOL_FEATURES_MADE,
  };
}

function attachSteps(volumes: PoolFacts['volumes']): Step[] {
  return ROLES.filter((role) => volumes[role].device === undefined).map((role) => ({
    do: 'attach',
    role,
    path: volumes[role].path,
  }));
}

function splitSteps(parts: DiskParts | undefined): Step[] {
  return parts === undefined || parts.missing.length === 0 ? [] : [{ do: 'split', parts }];
}

function attachedDevices(volumes: PoolFacts['volumes']): Plan['devices'] {
  return Object.fromEntries(
    ROLES.flatMap((role) => {
      const { device } = volumes[role];
      return device === undefined ? [] : [[role, device]];
    }),
  );
}

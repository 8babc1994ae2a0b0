/** What is there before anything is changed. Nothing here changes anything. */
import { join } from 'node:path';
import { DmthinError } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import { parsePoolTable } from '../dm/tables.ts';
import { parseThinSuperblock, SUPERBLOCK_BYTES } from './block-devices-thin-metadata.ts';
import type { BlockDevices } from './block-devices.ts';
import { type DiskParts, type Look, readDisk } from './provision-disk.ts';
import type { Content, LivePool, PoolRequest, ProvisionDeps, Role, Volume } from './provision-request.ts';

export interface PoolFacts {
  readonly live: LivePool;
  readonly volumes: Readonly<Record<Role, Volume>>;
  /** How one disk is split; undefined for other pools. */
  readonly parts?: DiskParts | undefined;
  /** False where the loop files' directory has yet to be made. */
  readonly directoryExists: boolean;
}

/** The volumes' paths: given, or NAME.data and NAME.meta. */
export function volumePaths({ name, backing }: Pick<PoolRequest, 'name' | 'backing'>): Record<Role, string> {
  if (backing.kind === 'disk') return { data: backing.device, metadata: backing.device };
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
  const { backing } = request;
  const probe = live.kind === 'absent';
  if (backing.kind === 'disk') {
    const look: Look = {
      volume: (path, role) => readVolume(devices, path, role, probe),
      content: (path) => readContent(devices, path, 'data'),
    };
    const { volumes, parts } = await readDisk(request, backing, { dm, devices }, look);
    return { live, volumes, parts, directoryExists: true };
  }
  const paths = volumePaths(request);
  return {
    live,
    // A live pool's volumes change under our eyes and are in use by it: what they hold proves nothing.
    volumes: {
      data: await readVolume(devices, paths.data, 'data', probe),
      metadata: await readVolume(devices, paths.metadata, 'metadata', probe),
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

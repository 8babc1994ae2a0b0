/** Table lines of the targets that dmthin uses: built for the kernel and read back from it. Pure. */
import { deviceId, type DeviceId, type DmName, MAX_DEVICE_ID, type Sectors, sectors } from '../base/units.ts';
import type { DmLine } from './client.ts';
import { type LineSource, onlyLine, parseCount, parseSectors, unreadable, words } from './parse.ts';

export const POOL_FEATURES = [
  'skip_block_zeroing',
  'ignore_discard',
  'no_discard_passdown',
  'read_only',
  'error_if_no_space',
] as const;

export type PoolFeature = (typeof POOL_FEATURES)[number];

/** A thin-pool's table. Devices are paths when we build it and `major:minor` when the kernel prints it. */
export interface PoolTable {
  readonly length: Sectors;
  readonly metadataDevice: string;
  readonly dataDevice: string;
  /** 128 to 2,097,152, a multiple of 128, fixed when the pool is made. */
  readonly blockSectors: Sectors;
  /** The kernel raises an event when fewer data blocks are free. */
  readonly lowWaterBlocks: number;
  readonly features: readonly PoolFeature[];
}

export function poolTable(table: PoolTable): DmLine {
  const { metadataDevice, dataDevice, blockSectors, lowWaterBlocks, features } = table;
  const params = [metadataDevice, dataDevice, blockSectors, lowWaterBlocks, features.length, ...features];
  return { start: sectors(0), length: table.length, target: 'thin-pool', params: params.join(' ') };
}

/** @throws failed_precondition when the device is no thin-pool; internal when the line cannot be read. */
export function parsePoolTable(device: DmName, lines: readonly DmLine[]): PoolTable {
  const source = onlyLine('read pool table', device, lines, 'thin-pool');
  const [metadataDevice, dataDevice, blockSectors, lowWater, count, ...features] = words(source);
  if (metadataDevice === undefined || dataDevice === undefined)
    throw unreadable(source, 'devices are missing');
  if (parseCount(source, count ?? '0') !== features.length)
    throw unreadable(source, 'wrong number of features');
  return {
    length: source.line.length,
    metadataDevice,
    dataDevice,
    blockSectors: parseSectors(source, blockSectors),
    lowWaterBlocks: parseCount(source, lowWater),
    features: features.map((word) => {
      const feature = POOL_FEATURES.find((known) => known === word);
      if (feature === undefined) throw unreadable(source, `unknown feature ${word}`);
      return feature;
    }),
  };
}

export interface ThinTable {
  readonly length: Sectors;
  readonly poolDevice: string;
  readonly deviceId: DeviceId;
  /** A read-only device outside the pool that unmapped blocks are read from. */
  readonly externalOrigin?: string | undefined;
}

export function thinTable(table: ThinTable): DmLine {
  const origin = table.externalOrigin === undefined ? [] : [table.externalOrigin];
  const params = [table.poolDevice, table.deviceId, ...origin].join(' ');
  return { start: sectors(0), length: table.length, target: 'thin', params };
}

/** @throws failed_precondition when the device is no thin device; internal when the line cannot be read. */
export function parseThinTable(device: DmName, lines: readonly DmLine[]): ThinTable {
  const source = onlyLine('read thin table', device, lines, 'thin');
  const [poolDevice, id, externalOrigin, ...rest] = words(source);
  if (poolDevice === undefined || rest.length > 0) throw unreadable(source, 'wrong number of words');
  return {
    length: source.line.length,
    poolDevice,
    deviceId: parseDeviceId(source, id),
    ...(externalOrigin === undefined ? {} : { externalOrigin }),
  };
}

function parseDeviceId(source: LineSource, word: string | undefined): DeviceId {
  const id = parseCount(source, word);
  if (id > MAX_DEVICE_ID) throw unreadable(source, `${id} is not a thin device id`);
  return deviceId(id);
}

/** A piece of another device, from its sector `offset` on. */
export function linearTable(length: Sectors, device: string, offset: Sectors = sectors(0)): DmLine {
  return { start: sectors(0), length, target: 'linear', params: `${device} ${offset}` };
}

export interface LinearTable {
  readonly length: Sectors;
  readonly device: string;
  readonly offset: Sectors;
}

/** @throws failed_precondition when the device is not one linear piece; internal when the line cannot be read. */
export function parseLinearTable(device: DmName, lines: readonly DmLine[]): LinearTable {
  const source = onlyLine('read linear table', device, lines, 'linear');
  const [below, offset, ...rest] = words(source);
  if (below === undefined || rest.length > 0) throw unreadable(source, 'wrong number of words');
  return { length: source.line.length, device: below, offset: parseSectors(source, offset) };
}

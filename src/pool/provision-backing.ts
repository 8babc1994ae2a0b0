/** What a live pool stands on, asked of the kernel: no record is kept that could disagree with it. */
import { basename } from 'node:path';
import type { DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import { parseThinTable, type PoolTable } from '../dm/tables.ts';
import type { BlockDevices } from './block-devices.ts';
import { loopFilePaths } from './provision-facts.ts';
import type { ProvisionDeps, Role } from './provision-request.ts';

export interface Backing {
  /** Under /dev; `major:minor` where the kernel has no name for it. */
  readonly device: string;
  /** The file behind a loop device. */
  readonly file: string | undefined;
  /** The file is one that `pool create` named: NAME.data or NAME.meta. Only such files and their loops are ours to remove. */
  readonly ours: boolean;
}

export async function readBacking(
  name: DmName,
  table: PoolTable,
  devices: BlockDevices,
): Promise<Record<Role, Backing>> {
  const read = async (role: Role, number: string): Promise<Backing> => {
    const found = await devices.byNumber(number);
    const file = found?.backingFile;
    const ours = file !== undefined && basename(file) === basename(loopFilePaths(name, '/')[role]);
    return { device: found?.path ?? number, file, ours };
  };
  return {
    data: await read('data', table.dataDevice),
    metadata: await read('metadata', table.metadataDevice),
  };
}

/** Names of the thin devices that are active on the pool, in order. */
export async function activeThins(pool: DmName, dm: ProvisionDeps['dm']): Promise<DmName[]> {
  const info = await dm.info(pool);
  if (info === undefined || info.openCount === 0) return [];
  const number = `${info.major}:${info.minor}`;
  const names: DmName[] = [];
  for (const { name } of await dm.list()) {
    if ((await poolOf(name, dm)) === number) names.push(name);
  }
  return names.sort();
}

/** @returns undefined for a device that is no thin device, or is gone by now. */
async function poolOf(name: DmName, dm: DmClient): Promise<string | undefined> {
  const info = await dm.info(name);
  if (info?.live !== true) return undefined;
  const lines = await dm.table(name);
  return lines[0]?.target === 'thin' ? parseThinTable(name, lines).poolDevice : undefined;
}

/** The thin devices that a pool has, asked of the pool itself. */
import { readFile } from 'node:fs/promises';
import { DmthinError, hasCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { runChecked, type RunProcess } from '../base/process.ts';
import { deviceId, type DeviceId, type DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import { parsePoolTable } from '../dm/tables.ts';

export type ListPoolDevices = () => Promise<DeviceId[]>;

export interface ListPoolDevicesOptions {
  readonly dm: DmClient;
  readonly run: RunProcess;
  readonly poolName: DmName;
  readonly log: Log;
}

/**
 * Lists the ids of all thin devices: there is no message for it, so thin_ls reads a snapshot of the metadata, which is
 * given back on every path. One left behind by a process that died is given back first.
 * @throws unsupported when thin_ls is not installed; whatever the pool answers.
 */
export function createListPoolDevices({ dm, run, poolName, log }: ListPoolDevicesOptions): ListPoolDevices {
  async function reserve(): Promise<void> {
    try {
      await dm.message(poolName, 'reserve_metadata_snap');
    } catch (error) {
      if (!hasCode(error, 'busy')) throw error;
      log.warn({ pool: poolName }, 'the pool holds a metadata snapshot that somebody left; giving it back');
      await dm.message(poolName, 'release_metadata_snap');
      await dm.message(poolName, 'reserve_metadata_snap');
    }
  }

  return async () => {
    const { metadataDevice } = parsePoolTable(poolName, await dm.table(poolName));
    const path = await blockDevicePath(metadataDevice);
    await reserve();
    try {
      const output = await runChecked(run, 'thin_ls', [
        '--metadata-snap',
        '--no-headers',
        '--format',
        'DEV',
        path,
      ]);
      return output
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map((line) => parseId(line));
    } finally {
      await dm.message(poolName, 'release_metadata_snap');
    }
  };
}

function parseId(line: string): DeviceId {
  if (/^\s*\d+\s*$/.test(line)) return deviceId(Number(line));
  throw new DmthinError('internal', {
    op: 'thin_ls',
    what: `its line ${JSON.stringify(line)} is not a device id`,
  });
}

/** The node of `major:minor`, as the kernel names it; /dev/block is udev's and may be missing. */
async function blockDevicePath(majorMinor: string): Promise<string> {
  const uevent = await readFile(`/sys/dev/block/${majorMinor}/uevent`, 'utf8');
  const name = /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
  if (name !== undefined) return `/dev/${name}`;
  throw new DmthinError('internal', {
    op: 'find block device',
    what: `the kernel does not name ${majorMinor}`,
  });
}

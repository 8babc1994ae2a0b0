/** The thin devices that a pool has, asked of the pool itself. */
import { readFile } from 'node:fs/promises';
import { DmthinError, hasCode, toDmthinError } from '../base/errors.ts';
import { runChecked, type RunProcess } from '../base/process.ts';
import { deviceId, type DeviceId, type DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import { parsePoolTable } from '../dm/tables.ts';

export type ListPoolDevices = () => Promise<DeviceId[]>;

export interface ListPoolDevicesOptions {
  readonly dm: DmClient;
  readonly run: RunProcess;
  readonly poolName: DmName;
}

const OP = 'list devices of the pool';

/**
 * Lists the ids of all thin devices: there is no message for it, so thin_ls reads a snapshot of the metadata, which is
 * given back on every path. Callers hold METADATA_SNAPSHOT_LOCK.
 * @throws unsupported when thin_ls is not installed; unavailable when it fails; busy when somebody holds the pool's one metadata snapshot; whatever
 * the pool answers.
 */
export function createListPoolDevices({ dm, run, poolName }: ListPoolDevicesOptions): ListPoolDevices {
  return async () => {
    const { metadataDevice } = parsePoolTable(poolName, await dm.table(poolName));
    const path = await blockDevicePath(metadataDevice);
    await dm.message(poolName, 'reserve_metadata_snap');
    try {
      const output = await runThinLs(run, ['--metadata-snap', '--no-headers', '--format', 'DEV', path]);
      return output
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map((line) => parseId(line));
    } finally {
      await dm.message(poolName, 'release_metadata_snap');
    }
  };
}

async function runThinLs(run: RunProcess, args: readonly string[]): Promise<string> {
  try {
    return await runChecked(run, 'thin_ls', args);
  } catch (error) {
    // Whatever thin_ls met, what the pool has is unknown then.
    if (!hasCode(error, 'unsupported')) throw toDmthinError(error, OP).with({ op: OP }, 'unavailable');
    const nextStep =
      'install thin-provisioning-tools (Debian, Ubuntu, SUSE) or device-mapper-persistent-data (Fedora, RHEL)';
    throw error.with({ op: OP, nextStep });
  }
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

/** How much an active thin device holds. */
import { DmthinError } from '../base/errors.ts';
import { sectorsToBytes, type DmName } from '../base/units.ts';
import { devicePath, type DmClient } from '../dm/client.ts';
import { parseThinStatus } from '../dm/status.ts';
import type { DeviceTotals } from '../store/records.ts';

/** Mapped bytes from the kernel, inodes from the superblock. @throws not_found when the device is not active. */
export type ReadDeviceTotals = (name: DmName) => Promise<DeviceTotals>;

export function createReadDeviceTotals(
  dm: DmClient,
  readInodes: (path: string) => Promise<number>,
): ReadDeviceTotals {
  return async (name) => {
    const [lines, inodes] = await Promise.all([dm.status(name), readInodes(devicePath(name))]);
    const status = parseThinStatus(name, lines);
    if (status.kind !== 'ok') {
      throw new DmthinError('internal', {
        op: 'read usage',
        what: `the kernel cannot tell: ${status.raw}`,
        device: name,
        nextStep: 'look at the pool: dmthin pool status',
      });
    }
    return { mappedBytes: sectorsToBytes(status.mappedSectors), inodes };
  };
}

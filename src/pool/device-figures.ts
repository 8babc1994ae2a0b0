/** How much an active thin device holds, and whether its filesystem is well. */
import { DmthinError } from '../base/errors.ts';
import { sectorsToBytes, type DmName } from '../base/units.ts';
import { devicePath, type DmClient } from '../dm/client.ts';
import { parseThinStatus } from '../dm/status.ts';
import type { SuperblockFacts } from '../filesystem/superblock.ts';
import type { DeviceTotals } from '../store/records.ts';

export interface DeviceFigures {
  readonly totals: DeviceTotals;
  /** Errors that the filesystem has written down. */
  readonly recordedErrors: number;
}

/** Mapped bytes from the kernel, the rest from the superblock. @throws not_found when the device is not active. */
export type ReadFigures = (name: DmName) => Promise<DeviceFigures>;

export function createReadFigures(
  dm: DmClient,
  readSuperblock: (path: string) => Promise<SuperblockFacts>,
): ReadFigures {
  return async (name) => {
    const [lines, { usedInodes, recordedErrors }] = await Promise.all([
      dm.status(name),
      readSuperblock(devicePath(name)),
    ]);
    const status = parseThinStatus(name, lines);
    if (status.kind !== 'ok') {
      throw new DmthinError('internal', {
        op: 'read usage',
        what: `the kernel cannot tell: ${status.raw}`,
        device: name,
        nextStep: 'look at the pool: dmthin pool status',
      });
    }
    const totals = { mappedBytes: sectorsToBytes(status.mappedSectors), inodes: usedInodes };
    return { totals, recordedErrors };
  };
}

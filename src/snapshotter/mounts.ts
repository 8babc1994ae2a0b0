/** How a snapshot is mounted. */
import type { DmName } from '../base/units.ts';
import { devicePath } from '../dm/client.ts';
import { snapshotDeviceName } from '../pool/names.ts';
import type { ActiveRecord } from '../store/records.ts';
import type { Mount } from './snapshotter.ts';

/** One block device mount: `ro` for views; `nouuid` for xfs, whose snapshots share their origin's uuid. */
export function mountOf(poolName: DmName, record: ActiveRecord): Mount {
  const options = [...(record.kind === 'view' ? ['ro'] : []), ...(record.fsType === 'xfs' ? ['nouuid'] : [])];
  return {
    type: record.fsType,
    source: devicePath(snapshotDeviceName(poolName, record.deviceId)),
    target: '',
    options,
  };
}

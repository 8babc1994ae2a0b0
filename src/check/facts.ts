/** What a check looks at, as data: read by read-facts.ts, judged by compare.ts. */
import type { DeviceId, DmName } from '../base/units.ts';
import type { DmInfo } from '../dm/client.ts';
import type { NodeEntry } from '../dm/device-nodes.ts';
import type { PoolStatus } from '../dm/status.ts';
import type { ThinTable } from '../dm/tables.ts';
import type { StrayMount } from '../filesystem/temporary-mount.ts';
import type { BaseRecord, DeviceOwner, SnapshotRecord } from '../store/records.ts';

export interface DeviceFact {
  readonly info: DmInfo;
  /** `none`: no live table. `other`: not one thin target. `untold`: its pool has failed, and the kernel does not tell it. */
  readonly table: ThinTable | 'none' | 'other' | 'untold';
}

export interface PoolFact {
  readonly name: DmName;
  /** `major:minor`. */
  readonly device: string;
  readonly suspended: boolean;
  readonly status: PoolStatus;
}

export interface Facts {
  readonly storeId: string;
  readonly pool: PoolFact;
  /** Ids that the pool has by its own account; undefined when it cannot be asked in its state. */
  readonly poolIds: ReadonlySet<DeviceId> | undefined;
  /** Devices of device-mapper whose names are of our kind. */
  readonly devices: ReadonlyMap<string, DeviceFact>;
  /** Entries of /dev/mapper whose names are of our kind. */
  readonly entries: ReadonlyMap<string, NodeEntry>;
  readonly mounts: readonly StrayMount[];
  readonly snapshots: readonly SnapshotRecord[];
  readonly bases: readonly BaseRecord[];
  readonly ownerOf: (id: DeviceId) => DeviceOwner | undefined;
  /** A daemon is at work, which finishes removals by itself. */
  readonly serving: boolean;
}

/**
 * What an operation does to devices, as data: pure plans of idempotent steps, executed by apply.ts.
 *
 * INVARIANT: dying before, during or after any step leaves something that recovery.ts can finish or undo, because the
 * record that describes the device is durable before the first step and forgotten only after the last.
 */
import type { Bytes, DeviceId, DmName } from '../base/units.ts';
import { discardDeviceName, snapshotDeviceName } from './names.ts';

export type DeviceStep =
  | { readonly do: 'create-thin'; readonly id: DeviceId }
  /** Freezes the origin for the moment of the snapshot when its device is active. */
  | {
      readonly do: 'create-snap';
      readonly id: DeviceId;
      readonly originId: DeviceId;
      readonly originName: DmName;
    }
  | ActivateStep
  /** Makes everything written so far durable; freezes the filesystem for a moment when it is mounted. */
  | { readonly do: 'flush'; readonly name: DmName }
  /** Absent already: done. Open: waits a bounded time, then `busy`; with `deferred` the kernel removes it at the last close. */
  | { readonly do: 'deactivate'; readonly name: DmName; readonly deferred: boolean }
  | { readonly do: 'discard'; readonly name: DmName; readonly sizeBytes: Bytes }
  /** Absent already: done. */
  | { readonly do: 'delete'; readonly id: DeviceId }
  /** The pool has written down what it was told so far. */
  | { readonly do: 'confirm' };

export interface ActivateStep {
  readonly do: 'activate';
  readonly name: DmName;
  readonly id: DeviceId;
  readonly sizeBytes: Bytes;
  /** The pool's `major:minor`. */
  readonly poolDevice: string;
}

/** The device of a snapshot or base as the plans need it. */
export interface PlannedDevice {
  readonly deviceId: DeviceId;
  readonly sizeBytes: Bytes;
}

export function planActivate(name: DmName, device: PlannedDevice, poolDevice: string): ActivateStep {
  return { do: 'activate', name, id: device.deviceId, sizeBytes: device.sizeBytes, poolDevice };
}

export function planCreateSnap(poolName: DmName, id: DeviceId, originId: DeviceId): DeviceStep {
  return { do: 'create-snap', id, originId, originName: snapshotDeviceName(poolName, originId) };
}

export function planDelete(id: DeviceId): DeviceStep[] {
  return [{ do: 'delete', id }, { do: 'confirm' }];
}

/** Takes back a creation that failed or was interrupted, however far it had come. */
export function planUndoCreate(name: DmName, id: DeviceId): DeviceStep[] {
  return [{ do: 'deactivate', name, deferred: false }, ...planDelete(id)];
}

/**
 * Gives back the blocks of a device whose removal is durable. The discard needs the device active for a moment; it
 * gets a name of its own, so that nobody who remembers the old one can open it.
 */
export function planDiscard(poolName: DmName, device: PlannedDevice, poolDevice: string): DeviceStep[] {
  const name = discardDeviceName(poolName, device.deviceId);
  return [
    planActivate(name, device, poolDevice),
    { do: 'discard', name, sizeBytes: device.sizeBytes },
    { do: 'deactivate', name, deferred: false },
  ];
}

/** Names and uuids of the devices that dmthin makes. Unique in the pool because thin device ids are. */
import { deviceId, dmName, type DeviceId, type DmName, MAX_DEVICE_ID } from '../base/units.ts';

/** A pool's name may have so many characters that the longest of the names below still has device-mapper's 127. */
export const MAX_POOL_NAME_LENGTH = 127 - '-discard-'.length - String(MAX_DEVICE_ID).length;

/** The device of a snapshot, in the style of the original: `POOL-snap-ID`. */
export function snapshotDeviceName(poolName: DmName, id: DeviceId): DmName {
  return dmName(`${poolName}-snap-${id}`);
}

/** The device of a base, present only while it is being formatted. */
export function baseDeviceName(poolName: DmName, id: DeviceId): DmName {
  return dmName(`${poolName}-base-${id}`);
}

/** A device that only exists to discard blocks of a snapshot that is already gone for every caller. */
export function discardDeviceName(poolName: DmName, id: DeviceId): DmName {
  return dmName(`${poolName}-discard-${id}`);
}

/** Of a pool that dmthin made, which the prefix tells from any other. Device-mapper takes 128 bytes. */
export function poolUuid(name: DmName): string {
  return `DMTHIN-POOL-${name}`;
}

/** How the uuid of every thin device of ours begins, whichever store made it. */
export const DEVICE_UUID_PREFIX = 'DMTHIN-';

/** Proves that a device is this store's: names may be guessed, a store's id may not. */
export function deviceUuid(storeId: string, id: DeviceId): string {
  return `${DEVICE_UUID_PREFIX}${storeId}-${id}`;
}

export type DeviceRole = 'snap' | 'base' | 'discard';

/** What a name of the kinds above says; undefined when it is none of this pool's. */
export function parseDeviceName(
  poolName: DmName,
  name: string,
): { readonly role: DeviceRole; readonly id: DeviceId } | undefined {
  if (!name.startsWith(`${poolName}-`)) return undefined;
  const match = /^(snap|base|discard)-(\d{1,8})$/.exec(name.slice(poolName.length + 1));
  const [, role, digits] = match ?? [];
  if ((role !== 'snap' && role !== 'base' && role !== 'discard') || Number(digits) > MAX_DEVICE_ID)
    return undefined;
  return { role, id: deviceId(Number(digits)) };
}

/** Making a thin device under an id that is really free: the pool may hold ids that we do not know of. */
import { hasCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { DeviceId } from '../base/units.ts';

export interface ClaimOptions {
  readonly log: Log;
  /** The id that the durable record names. */
  readonly first: DeviceId;
  readonly make: (id: DeviceId) => Promise<void>;
  /** Durably marks `taken` as foreign, gives the record the next free id and returns that. */
  readonly moveOn: (taken: DeviceId) => Promise<DeviceId>;
}

/**
 * Calls `make` until it meets an id that the pool does not have yet, moving the record along before each new try, so
 * that a record never names a device that is somebody else's once its creation went on.
 * @returns the id that was made.
 */
export async function claimDeviceId({ log, first, make, moveOn }: ClaimOptions): Promise<DeviceId> {
  let id = first;
  for (;;) {
    try {
      await make(id);
      return id;
    } catch (error) {
      if (!hasCode(error, 'already_exists')) throw error;
      log.warn(
        { deviceId: id },
        'the pool has a device of this id that dmthin did not make; taking the next id',
      );
      id = await moveOn(id);
    }
  }
}

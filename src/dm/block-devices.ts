/** What is asked of a block device itself, rather than of device-mapper. */
import { open } from 'node:fs/promises';
import type { Bytes } from '../base/units.ts';

export interface BlockDevices {
  /** fsync: everything written to the device is on the disk afterwards, the pool's metadata included. */
  flush(path: string): Promise<void>;
  /** Tells the device that its first `sizeBytes` are not needed any more. A device that cannot discard: nothing happens. */
  discard(path: string, sizeBytes: Bytes): Promise<void>;
}

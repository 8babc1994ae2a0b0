/** What is asked of a block device itself, rather than of device-mapper. */
import { deviceIo, openDevice } from '../base/open-device.ts';
import type { Bytes } from '../base/units.ts';
import { errnoError, errnoName } from './errno.ts';
import { openIoctlPort } from './ioctl-port.ts';
import { createLanes } from './lanes.ts';

export interface BlockIo {
  /**
   * fsync: everything written to the device is on the disk afterwards, the pool's metadata included.
   * @throws internal (EIO) also for a write that failed before and that nobody has been told of; the kernel tells it once.
   */
  flush(path: string): Promise<void>;
  /** Tells the device that its first `sizeBytes` are not needed any more. A device that cannot discard: nothing happens. */
  discard(path: string, sizeBytes: Bytes): Promise<void>;
}

/** linux/fs.h: _IO(0x12, 119), with a u64 pair of start and length in bytes. */
const BLKDISCARD = 0x1277;
/** Each holds a thread of libuv's pool for as long as the disk takes. */
const MAX_IN_FLIGHT = 4;

export function createBlockIo(): BlockIo {
  const lanes = createLanes(MAX_IN_FLIGHT);
  return {
    flush: (path) =>
      lanes.run(async () => {
        await deviceIo('flush', path, 'not all that was written is on the disk', async () => {
          await using device = await openDevice('flush', path, 'r+');
          await device.sync();
        });
      }),
    discard: (path, sizeBytes) =>
      lanes.run(async () => {
        const range = Buffer.alloc(16);
        range.writeBigUInt64LE(BigInt(sizeBytes), 8);
        const port = await openIoctlPort(path);
        try {
          const errno = await port.call(BLKDISCARD, range, 'change');
          if (errno === 0 || errnoName(errno) === 'EOPNOTSUPP') return;
          throw errnoError(errnoName(errno), {
            op: 'discard',
            what: 'the kernel refused to discard the blocks',
            device: path,
          });
        } finally {
          await port.close();
        }
      }),
  };
}

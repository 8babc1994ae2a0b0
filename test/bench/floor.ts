/**
 * The floor: what an operation costs when nothing but its ioctls and one fdatasync are issued, one after another, by one
 * thread, without protocol, checks or recovery. Nobody can be faster on this kernel.
 */
import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToSectors, type Bytes, deviceId, dmName, type DmName } from '../../src/base/units.ts';
import { COMMAND, UDEV_FLAGS } from '../../src/dm/ioctl-abi.ts';
import * as codec from '../../src/dm/ioctl-codec.ts';
import { createBlockingPort, loadKoffi } from '../../src/dm/ioctl-port.ts';
import { thinTable } from '../../src/dm/tables.ts';
import type { BenchTarget } from './targets.ts';

const RECORD_BYTES = 4096;
const RECORDS = 256;
/** Above whatever the snapshotter of the same pool makes. */
const FIRST_ID = 1_000_000;

export interface FloorOptions {
  readonly poolName: DmName;
  readonly sizeBytes: Bytes;
  /** On the filesystem where the stores of the others are. */
  readonly directory: string;
}

export async function openFloor({ poolName, sizeBytes, directory }: FloorOptions): Promise<BenchTarget> {
  const controlFd = openSync('/dev/mapper/control', 'r+');
  const port = createBlockingPort(await loadKoffi(), controlFd);
  const storeFd = openSync(join(directory, 'floor'), 'w');
  for (let index = 0; index < RECORDS; index += 1) write(index);
  const ids = new Map<string, number>();
  let count = 0;

  function write(index: number): void {
    writeSync(storeFd, Buffer.alloc(RECORD_BYTES, index), 0, RECORD_BYTES, (index % RECORDS) * RECORD_BYTES);
    fdatasyncSync(storeFd);
  }

  async function ioctl(command: number, request: codec.DmRequest, answerBytes = 0): Promise<Buffer> {
    const buffer = codec.encodeRequest(request, answerBytes);
    const errno = await port.call(command, buffer, 'change');
    if (errno !== 0) throw new Error(`floor: ioctl ${command} of ${request.name ?? ''}: errno ${errno}`);
    return buffer;
  }

  const tell = (message: string): Promise<Buffer> =>
    ioctl(COMMAND.message, { name: poolName, payload: codec.encodeMessage(message) }, 512);
  const nameOf = (key: string): DmName => dmName(`${poolName}-floor-${key.replaceAll(/[^a-z0-9]/gi, '-')}`);
  const idOf = (key: string): number => {
    const id = ids.get(key);
    if (id === undefined) throw new Error(`floor: no snapshot ${key}`);
    return id;
  };
  const poolDevice = codec.decodeInfo(await ioctl(COMMAND.status, { name: poolName }));

  async function create(key: string, parent: string): Promise<void> {
    count += 1;
    const id = FIRST_ID + count;
    const name = nameOf(key);
    await tell(`create_snap ${id} ${idOf(parent === '' ? 'base' : parent)}`);
    await activate(name, id);
    write(count);
    ids.set(key, id);
  }

  async function activate(name: DmName, id: number): Promise<void> {
    await ioctl(COMMAND.create, { name });
    const table = thinTable({
      length: bytesToSectors(sizeBytes),
      poolDevice: `${poolDevice.major}:${poolDevice.minor}`,
      deviceId: deviceId(id),
    });
    await ioctl(COMMAND.load, { name, targetCount: 1, payload: codec.encodeTable([table]) });
    await ioctl(COMMAND.suspend, { name, eventNr: UDEV_FLAGS });
  }

  await tell(`create_thin ${FIRST_ID}`);
  ids.set('base', FIRST_ID);

  return {
    name: 'floor',
    prepare: create,
    view: create,
    async commit(name, key) {
      await ioctl(COMMAND.remove, { name: nameOf(key), eventNr: UDEV_FLAGS });
      write(count);
      ids.set(name, idOf(key));
      ids.delete(key);
    },
    async remove(key) {
      const name = nameOf(key);
      // Committed ones are not active.
      await ioctl(COMMAND.remove, { name, eventNr: UDEV_FLAGS }).catch(() => undefined);
      await tell(`delete ${idOf(key)}`);
      write(count);
      ids.delete(key);
    },
    removesByCollection: false,
    settle: () => Promise.resolve(),
    async usage(key) {
      const { minor } = codec.decodeInfo(await ioctl(COMMAND.status, { name: nameOf(key) }));
      await ioctl(COMMAND.tableStatus, { name: nameOf(key) }, 512);
      const fd = openSync(`/dev/dm-${minor}`, 'r');
      readSync(fd, Buffer.alloc(RECORD_BYTES), 0, RECORD_BYTES, 0);
      closeSync(fd);
    },
    async close() {
      for (const [key, id] of ids) {
        await ioctl(COMMAND.remove, { name: nameOf(key), eventNr: UDEV_FLAGS }).catch(() => undefined);
        await tell(`delete ${id}`);
      }
      closeSync(storeFd);
      closeSync(controlFd);
    },
  };
}

/** The disk as it was: the log is played onto an image, and each state is a snapshot of the image that is thrown away. */
import { open } from 'node:fs/promises';
import { dmName, sectors } from '../../src/base/units.ts';
import { type DmClient, devicePath } from '../../src/dm/client.ts';
import { createLoopDevices } from '../guest/loop-devices.ts';
import type { Cut } from './cuts.ts';
import type { LogEntry } from './log.ts';

export interface ReplayDisk extends AsyncDisposable {
  /** The disk in the state `cut`; later calls may not go back in the log. Disposed of before the next one. */
  at(cut: Cut): Promise<{ readonly device: string } & AsyncDisposable>;
}

export interface ReplayOptions {
  readonly dm: DmClient;
  readonly log: readonly LogEntry[];
  /** The log's file, where the data is. */
  readonly logPath: string;
  readonly diskBytes: number;
  /** In memory, for speed. */
  readonly directory: string;
}

const NAME = dmName('disk-after-cut');
/** Sectors that are copied at once when a state is written to. */
const CHUNK_SECTORS = 8;

export async function createReplayDisk(options: ReplayOptions): Promise<ReplayDisk> {
  const { dm, log, logPath, diskBytes, directory } = options;
  await using stack = new AsyncDisposableStack();
  const source = stack.use(await open(logPath, 'r'));
  const loops = stack.use(await createLoopDevices(directory));
  const image = await loops.attach(diskBytes);
  // A snapshot's changes, which the kernel does not outlive (`N`), so that the device can be used again and again.
  const changes = await loops.attach(diskBytes);
  const writer = stack.use(await open(loops.fileOf(image), 'r+'));
  let played = 0;

  async function dataOf(index: number, from: number, length: number): Promise<Buffer> {
    const entry = log[index];
    const data = Buffer.alloc(length);
    if (entry?.kind === 'write') await source.read(data, 0, length, entry.dataAt + from);
    return data;
  }

  async function play(upTo: number): Promise<void> {
    for (; played < upTo; played += 1) {
      const entry = log[played];
      if (entry?.kind !== 'write' && entry?.kind !== 'discard') continue;
      await writer.write(await dataOf(played, 0, entry.length), 0, entry.length, entry.offset);
    }
  }

  const owned = stack.move();
  return {
    async at({ durable, pieces }) {
      await play(durable);
      const params = `${image} ${changes} N ${CHUNK_SECTORS}`;
      const line = { start: sectors(0), length: sectors(diskBytes / 512), target: 'snapshot', params };
      await dm.create(NAME, { uuid: '', table: [line] });
      const device = devicePath(NAME);
      if (pieces.length > 0) {
        await using file = await open(device, 'r+');
        for (const { entry: index, from, length } of pieces) {
          const entry = log[index];
          if (entry?.kind !== 'write' && entry?.kind !== 'discard') continue;
          await file.write(await dataOf(index, from, length), 0, length, entry.offset + from);
        }
        await file.sync();
      }
      return {
        device,
        [Symbol.asyncDispose]: async () => {
          await dm.remove(NAME);
        },
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

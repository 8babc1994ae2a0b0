/** A workload on one disk whose writes are logged. */
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { silentLog } from '../../src/base/log.ts';
import { dmName, sectors } from '../../src/base/units.ts';
import { type DmClient, devicePath } from '../../src/dm/client.ts';
import { createLoopDevices } from '../guest/loop-devices.ts';
import { MiB } from '../guest/node.ts';
import { runCallers } from '../workload/callers.ts';
import type { Random } from '../workload/random.ts';
import { createHistory, type History } from './history.ts';
import { DISK_BYTES, formatStore, startMachine, withSlices } from './machine.ts';

export interface Recording extends AsyncDisposable {
  readonly logPath: string;
  /** The file behind the disk. */
  readonly diskPath: string;
  readonly history: History;
  readonly acknowledged: number;
}

export const BEGIN = 'begin';

const NAME = dmName('logged-disk');
const LOG_BYTES = 4096 * MiB;
const CALLERS = 4;

/** Runs until so many operations were acknowledged; ends the daemon and the machine as a shutdown does. */
export async function record(dm: DmClient, random: Random, operations: number): Promise<Recording> {
  await using stack = new AsyncDisposableStack();
  const loops = stack.use(await createLoopDevices());
  const disk = await loops.attach(DISK_BYTES);
  // log-writes puts what a flush made durable into the log when that flush has ended. Of two under way at once the later one
  // may end first, and its log be out of order; on a disk without a cache each ends before the next one begins.
  await writeFile(`/sys/block/${basename(disk)}/queue/write_cache`, 'write through');
  const log = await loops.attach(LOG_BYTES);
  const line = { start: sectors(0), length: sectors(DISK_BYTES / 512), target: 'log-writes' };
  await dm.create(NAME, { uuid: '', table: [{ ...line, params: `${disk} ${log}` }] });
  const mark = async (name: string): Promise<void> => {
    await dm.message(NAME, `mark ${name}`);
  };
  const history = createHistory((number) => mark(`${number}`));
  const settings = { asyncRemove: random.percent(30), discardBlocks: random.percent(50) };
  let acknowledged = 0;
  {
    await using target = new AsyncDisposableStack();
    // Its end writes what is still to be logged.
    target.defer(async () => {
      await dm.remove(NAME);
    });
    await withSlices({ dm, disk: devicePath(NAME) }, async (slices) => {
      await formatStore(slices.store);
      await using machine = await startMachine(dm, slices);
      await mark(BEGIN);
      await using serving = await machine.serve(silentLog, settings);
      const workload = {
        client: serving.client,
        model: history.model,
        era: 0,
        slots: 3,
        ending: () => acknowledged >= operations,
        onAsk: () => undefined,
        onAcknowledged: () => {
          acknowledged += 1;
          return history.mark();
        },
        onWritten: () => history.mark(),
      };
      await runCallers(CALLERS, random, workload);
    });
  }
  const owned = stack.move();
  return {
    logPath: loops.fileOf(log),
    diskPath: loops.fileOf(disk),
    history,
    acknowledged,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Records until the log tells the order of all writes; in about one of six it does not (countUncertain). */
import { closeSync, openSync } from 'node:fs';
import type { DmClient } from '../../src/dm/client.ts';
import type { Random } from '../workload/random.ts';
import { countUncertain } from './cuts.ts';
import { requireFaithful } from './faithful.ts';
import { type LogEntry, readLog } from './log.ts';
import { DISK_BYTES } from './machine.ts';
import { record, type Recording } from './record.ts';

const ATTEMPTS = 8;

export interface LoggedRecording extends Recording {
  readonly log: readonly LogEntry[];
}

/** @throws Error when none of some recordings is of use. */
export async function recordInOrder(
  dm: DmClient,
  random: Random,
  operations: number,
  say: (line: string) => void,
): Promise<LoggedRecording> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    await using stack = new AsyncDisposableStack();
    const recording = stack.use(await record(dm, random.fork(`recording ${attempt}`), operations));
    const log = readLogFile(recording.logPath);
    const uncertain = countUncertain(log);
    if (uncertain > 0) {
      say(`recorded again: the log does not tell the order of ${uncertain} writes`);
      continue;
    }
    await requireFaithful({ log, ...recording, diskBytes: DISK_BYTES });
    const owned = stack.move();
    return { ...recording, log, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }
  throw new Error(`none of ${ATTEMPTS} logs tells the order of all writes`);
}

function readLogFile(path: string): LogEntry[] {
  const fd = openSync(path, 'r');
  try {
    return readLog(fd);
  } finally {
    closeSync(fd);
  }
}

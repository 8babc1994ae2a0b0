/**
 * The program that dies: the daemon as its composition root starts it, with the seams open. It takes orders as lines on
 * standard input, and tells on descriptor 3 what it reaches: a written line outlives the process.
 */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import type { Log } from '../../src/base/log.ts';
import type { Config } from '../../src/daemon/config.ts';
import { startDaemon } from '../../src/daemon/daemon.ts';
import { createPoints, watchPrograms } from './points.ts';
import { openVictimDm, type VictimTransport } from './victim-dm.ts';

export interface VictimOptions {
  readonly config: Config;
  readonly transport: VictimTransport;
  /** The point of the start at which to die, counted from 1. */
  readonly killAt?: number | undefined;
}

const TELL_FD = 3;

const tell = (line: string): void => void writeSync(TELL_FD, `${line}\n`);
const points = createPoints({ tell, die: () => process.kill(process.pid, 'SIGKILL') });

function say(level: string): (facts: object, message: string) => void {
  return (facts, message) => {
    const { error } = facts as { readonly error?: unknown };
    tell(`${level} ${message}${error instanceof Error ? `: ${error.message}` : ''}`.replaceAll('\n', ' '));
  };
}
const log: Log = { debug: () => undefined, info: () => undefined, warn: say('warn'), error: say('error') };

// Written by our own victim-process.ts.
const { config, transport, killAt } = JSON.parse(process.argv[2] ?? '') as VictimOptions;
watchPrograms(points);
points.arm(killAt);
const daemon = await startDaemon(config, {
  log,
  version: 'victim',
  dm: await openVictimDm(transport, points),
  onStep: (point) => points.reached(point.replace(' ', ' step ')),
  onTransaction: (point) => points.reached(point.replace(' ', ' transaction ')),
});
tell('ready');
// Written at a clean end only, which a victim does not have.
flushCompileCache();

for await (const line of createInterface({ input: process.stdin })) {
  const [order, ...words] = line.split(' ');
  const argument = words.join(' ');
  if (order === 'arm') points.arm(argument === '' ? undefined : Number(argument));
  else if (order === 'hold') points.hold(argument);
  else if (order === 'stop') {
    await daemon.stop();
    break;
  }
  tell('done');
}
// Without an order to stop, the runner has died: nobody is left to clean up after a slow end.
process.exit();

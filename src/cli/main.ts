/** The program's entry: the real dependencies, one command line, its exit code. Heavy modules load when a command needs them. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { DmthinError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { runProcess } from '../base/process.ts';
import { createBlockDevices } from '../pool/block-devices.ts';
import type { CliDeps } from './deps.ts';
import { runCli } from './program.ts';
import { processTerminal } from './terminal.ts';

const { version } = v.parse(
  v.object({ version: v.string() }),
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')),
);

const missing = (op: string) => new DmthinError('unsupported', { op, what: 'not in this build' });

const deps: CliDeps = {
  terminal: processTerminal(),
  version,
  run: runProcess,
  signals: process,
  exit: (code) => process.exit(code),
  createLog,
  startDaemon: () => Promise.reject(missing('serve')),
  connect: () => {
    throw missing('snapshots');
  },
  isRoot: () => process.geteuid?.() === 0,
  openDm: () => Promise.reject(missing('device-mapper')),
  blockDevices: createBlockDevices(runProcess),
  countSnapshots: () => Promise.resolve(undefined),
};

// A reader that has seen enough (`dmthin snapshots ls | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), deps);

/** `npm run guest -- COMMAND...`: runs a command in the test machine. docs/guest.md tells how to use it. */
import { readFile, realpath, writeFile } from 'node:fs/promises';
import { freemem } from 'node:os';
import { dirname, join } from 'node:path';
import { DmthinError } from '../src/base/errors.ts';
import { runProcess } from '../src/base/process.ts';
import { findKernel } from './kernel.ts';
import { type GuestEnd, type Machine, runMachine } from './machine.ts';
import { type GuestOptions, parseOptions, USAGE } from './options.ts';
import { createDisk, createExtraDisk, createScratch, memoryDirectory, type Scratch } from './scratch.ts';
import { renderSettings } from './settings.ts';

/** Exit codes of our own, as timeout(1) and docker(1) have them. */
const EXIT_USAGE = 64;
const EXIT_TIMED_OUT = 124;
const EXIT_GUEST_FAILED = 125;

const BUSYBOX = '/bin/busybox';
const CONSOLE_TAIL_LINES = 40;
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const checkout = await realpath(dirname(import.meta.dirname));
  await using scratch = await createScratch(options.keep);
  const machine = await prepare(options, checkout, scratch);

  const interrupt = new AbortController();
  const interruptedBy = watchSignals(interrupt);
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const end = await runMachine(
    machine,
    process.stdout,
    process.stderr,
    AbortSignal.any([interrupt.signal, timeout]),
  );
  if (options.keep) say(`kept: ${scratch.path}`);
  const signal = interruptedBy();
  if (end.kind === 'died' && signal !== undefined) return 128 + signal;
  return end.kind === 'exited' ? end.exitCode : await explain(end, timeout.aborted, options, scratch);
}

async function prepare(options: GuestOptions, checkout: string, scratch: Scratch): Promise<Machine> {
  const memoryBytes = options.memoryBytes ?? Math.min(2 * 1024 ** 3, Math.floor(freemem() * 0.75));
  const disk = join(scratch.path, 'disk.img');
  const [kernel, memory, extra] = await Promise.all([
    findKernel(options.kernel, runProcess),
    memoryDirectory(memoryBytes, scratch.path),
    Promise.all(options.disks.map((wanted) => createExtraDisk(scratch, wanted))),
    createDisk(disk, options.diskBytes, runProcess),
  ]);
  const settings = renderSettings(
    {
      checkout,
      hostFiles: scratch.files,
      modules: kernel.modules,
      command: options.command,
      disks: options.disks,
      keep: options.keep,
    },
    process.env,
  );
  await writeFile(scratch.settings, settings);
  return {
    kernel,
    memoryBytes,
    memoryDirectory: memory,
    disks: [disk, ...extra],
    stateDirectory: scratch.state,
    consoleLog: scratch.consoleLog,
    busybox: BUSYBOX,
    init: join(checkout, 'guest/init.sh'),
    settings: scratch.settings,
  };
}

/** Aborts `interrupt` at the first signal; the answer tells that signal's number. */
function watchSignals(interrupt: AbortController): () => number | undefined {
  let first: number | undefined;
  for (const [name, number] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      first ??= number;
      interrupt.abort();
    });
  }
  // The reader of our output went away (as in `| head`): there is nobody left to run for.
  process.stdout.on('error', () => {
    first ??= 13;
    interrupt.abort();
  });
  return () => first;
}

async function explain(
  end: GuestEnd & { kind: 'died' },
  timedOut: boolean,
  options: GuestOptions,
  scratch: Scratch,
): Promise<number> {
  const log = (await readFile(scratch.consoleLog, 'utf8')).trimEnd().split('\n');
  say(`--- last lines of the guest's console`);
  process.stderr.write(`${log.slice(-CONSOLE_TAIL_LINES).join('\n')}\n---\n`);
  if (timedOut) {
    say(`ended after ${options.timeoutMs / 1000} s (DMTHIN_GUEST_TIMEOUT): ${options.command.join(' ')}`);
    return EXIT_TIMED_OUT;
  }
  say(`the guest's kernel ${end.how} ${end.booted ? 'before the command did' : 'while it booted'}`);
  return EXIT_GUEST_FAILED;
}

function say(line: string): void {
  process.stderr.write(`guest: ${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof DmthinError ? error.message : String(error));
  if (error instanceof DmthinError && error.code === 'invalid_argument') process.stderr.write(USAGE);
  process.exitCode =
    error instanceof DmthinError && error.code === 'invalid_argument' ? EXIT_USAGE : EXIT_GUEST_FAILED;
}

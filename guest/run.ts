/** `npm run guest -- COMMAND...`: runs a command in the test machine. docs/guest.md tells how to use it. */
import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { DmthinError, hasCode } from '../src/base/errors.ts';
import { runProcess } from '../src/base/process.ts';
import { summarizeConsole } from './console.ts';
import { runGuest } from './guest.ts';
import { runOnHost } from './host.ts';
import type { GuestEnd } from './machine.ts';
import { type GuestOptions, parseOptions, USAGE } from './options.ts';
import { ensurePackages, thisMachine } from './requirements.ts';
import { createScratch, type Scratch } from './scratch.ts';

/** Exit codes of our own, as sysexits.h, timeout(1) and docker-run(1) have them. */
const EXIT_USAGE = 64;
const EXIT_UNAVAILABLE = 69;
const EXIT_TIMED_OUT = 124;
const EXIT_GUEST_FAILED = 125;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const interrupt = watchInterrupts();
  try {
    return await runCommand(options, interrupt.signal);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    return interrupt.exitCode();
  }

  async function runCommand(wanted: GuestOptions, signal: AbortSignal): Promise<number> {
    await using scratch = await createScratch(wanted.keep);
    const end = await start(wanted, scratch, signal);
    if (wanted.keep) say(`kept: ${scratch.path}`);
    switch (end.kind) {
      case 'exited':
        return end.exitCode;
      case 'interrupted':
        return interrupt.exitCode();
      case 'timed-out':
        await showConsole(scratch);
        say(`ended after ${wanted.timeoutMs / 1000} s (DMTHIN_GUEST_TIMEOUT): ${wanted.command.join(' ')}`);
        return EXIT_TIMED_OUT;
      case 'died':
        await showConsole(scratch);
        say(`the guest's kernel ${end.how} ${end.booted ? 'before the command did' : 'while it booted'}`);
        return EXIT_GUEST_FAILED;
    }
  }
}

async function start(options: GuestOptions, scratch: Scratch, signal: AbortSignal): Promise<GuestEnd> {
  const around = {
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    run: (...[file, args, more]: Parameters<typeof runProcess>) =>
      runProcess(file, args, { ...more, signal }),
    signal,
    say,
  };
  if (options.onHost) return runOnHost(options, scratch, around);
  await ensurePackages(['guest'], await thisMachine(around.run, say));
  return runGuest(options, scratch, around);
}

interface Interrupts {
  /** Aborts at the first of them. */
  readonly signal: AbortSignal;
  /** What a shell reports for a process that it ended. */
  exitCode(): number;
}

function watchInterrupts(): Interrupts {
  const controller = new AbortController();
  let first: NodeJS.Signals = 'SIGTERM';
  const interrupt = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) return;
    first = name;
    controller.abort();
  };
  for (const name of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupt(name));
  // The reader of our output went away (as in `| head`): there is nobody left to run for.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => interrupt('SIGPIPE'));
  return { signal: controller.signal, exitCode: () => 128 + constants.signals[first] };
}

async function showConsole(scratch: Scratch): Promise<void> {
  const log = await readFile(scratch.consoleLog, 'utf8').catch(() => '');
  process.stderr.write(summarizeConsole(log));
}

function say(line: string): void {
  process.stderr.write(`guest: ${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof DmthinError ? error.message : String(error));
  if (hasCode(error, 'invalid_argument')) process.stderr.write(USAGE);
  process.exitCode = hasCode(error, 'invalid_argument')
    ? EXIT_USAGE
    : hasCode(error, 'unsupported', 'unavailable')
      ? EXIT_UNAVAILABLE
      : EXIT_GUEST_FAILED;
}

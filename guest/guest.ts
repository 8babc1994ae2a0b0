/** One run from beginning to end: scratch, kernel, disks, boot, and the fall back to the installed kernel. */
import { copyFile, readFile, realpath, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { DmthinError, toDmthinError } from '../src/base/errors.ts';
import type { RunProcess } from '../src/base/process.ts';
import { cacheDirectory, ensureFastKernel, rememberFailure } from './fast-kernel.ts';
import { describeKernel, DISTRIBUTION_KERNEL, type GuestKernel } from './kernel.ts';
import { type GuestEnd, runMachine } from './machine.ts';
import type { GuestOptions } from './options.ts';
import { allowedProcessors, claimProcessor } from './processor.ts';
import { createDisk, createExtraDisk, memoryDirectory, type Scratch } from './scratch.ts';
import { renderSettings } from './settings.ts';

/** Debian's busybox-static puts it there. */
const BUSYBOX = '/bin/busybox';
const DEFAULT_MEMORY_BYTES = 2 * 1024 ** 3;

/** What a run needs of its surroundings. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly run: RunProcess;
  /** Ends the guest, and whatever is done before it boots. */
  readonly signal: AbortSignal;
  /** A line for the person at the terminal. */
  readonly say: (line: string) => void;
}

/** Runs the command in a guest. @throws unsupported, unavailable, cancelled, when it cannot be booted at all. */
export async function runGuest(
  options: GuestOptions,
  scratch: Scratch,
  around: Surroundings,
): Promise<GuestEnd> {
  const disks = await createDisks(options, scratch, around.run);
  const boot = (kernel: GuestKernel): Promise<GuestEnd> =>
    bootKernel(kernel, disks, options, scratch, around);
  const cache = cacheDirectory(around.env);
  switch (options.kernel.kind) {
    case 'file':
      return boot(await describeKernel(options.kernel.path, around.run));
    case 'distribution':
      return boot(await describeKernel(DISTRIBUTION_KERNEL, around.run));
    case 'fast': {
      const fast = await ensureFastKernel(cache, around.run, around.say);
      if (fast.kind === 'ready') return boot(await describeKernel(fast.path, around.run));
      throw new DmthinError('unavailable', { op: 'newer kernel', what: fast.reason });
    }
    case 'auto':
      return bootBest(cache, boot, scratch.consoleLog, around);
  }
}

/** The newer kernel where it can be had and boots, else the installed one. */
async function bootBest(
  cache: string,
  boot: (kernel: GuestKernel) => Promise<GuestEnd>,
  consoleLog: string,
  around: Surroundings,
): Promise<GuestEnd> {
  const installed = async (): Promise<GuestEnd> =>
    boot(await describeKernel(DISTRIBUTION_KERNEL, around.run));
  const fast = await ensureFastKernel(cache, around.run, around.say);
  if (fast.kind === 'unavailable') {
    if (fast.isNews) around.say(`no newer kernel, the installed one is used: ${fast.reason}`);
    return installed();
  }
  const tried = await tryToBoot(fast.path, boot, around);
  if (typeof tried !== 'string') return tried;
  around.say(`the newer kernel does not run here, the installed one is used: ${tried}`);
  const console = await readFile(consoleLog, 'utf8').catch(() => '');
  const end = await installed();
  // When neither boots, the newer one is not to blame.
  if (end.kind !== 'died' || end.booted) await rememberFailure(cache, tried, console);
  return end;
}

/** @returns the end of the run; why there was none, when the kernel does not come up. */
async function tryToBoot(
  path: string,
  boot: (kernel: GuestKernel) => Promise<GuestEnd>,
  around: Surroundings,
): Promise<GuestEnd | string> {
  try {
    const end = await boot(await describeKernel(path, around.run));
    return end.kind === 'died' && !end.booted ? `it ${end.how} while it booted` : end;
  } catch (error) {
    if (around.signal.aborted) throw error;
    return toDmthinError(error, 'guest kernel').message.split('\n', 1).join('');
  }
}

async function createDisks(options: GuestOptions, scratch: Scratch, run: RunProcess): Promise<string[]> {
  const disk = join(scratch.path, 'disk.img');
  const [extra] = await Promise.all([
    Promise.all(options.disks.map((wanted) => createExtraDisk(scratch, wanted))),
    createDisk(disk, options.diskBytes, run),
  ]);
  return [disk, ...extra];
}

async function bootKernel(
  kernel: GuestKernel,
  disks: readonly string[],
  options: GuestOptions,
  scratch: Scratch,
  around: Surroundings,
): Promise<GuestEnd> {
  const checkout = await realpath(dirname(import.meta.dirname));
  const memoryBytes = options.memoryBytes ?? Math.min(DEFAULT_MEMORY_BYTES, process.availableMemory() * 0.75);
  const settings = { checkout, hostFiles: scratch.files, modules: kernel.modules, ...options };
  await writeFile(scratch.settings, renderSettings(settings, around.env));
  // From the scratch directory, whose path the kernel's command line can hold; the checkout's may have spaces.
  await copyFile(join(import.meta.dirname, 'init.sh'), scratch.init);
  using processor = claimProcessor(
    allowedProcessors(await readFile('/proc/self/status', 'utf8')),
    cacheDirectory(around.env),
  );
  const machine = {
    kernel,
    processor: processor?.number,
    memoryBytes,
    memoryDirectory: await memoryDirectory(memoryBytes, scratch.path),
    disks,
    stateDirectory: scratch.state,
    consoleLog: scratch.consoleLog,
    guarded: options.keep ? '' : scratch.path,
    busybox: BUSYBOX,
    init: scratch.init,
    settings: scratch.settings,
  };
  return await runMachine(machine, around, around.signal, options.timeoutMs);
}

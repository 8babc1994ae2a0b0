/** Boots one guest, runs one command in it, and sees to it that nothing of it is left. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable, type Writable } from 'node:stream';
import type { GuestKernel } from './kernel.ts';

/** Everything that the kernel is started with; see guest/init.sh for what happens then. */
export interface Machine {
  readonly kernel: GuestKernel;
  readonly memoryBytes: number;
  /** Directory of the file that is the guest's memory. */
  readonly memoryDirectory: string;
  /** Host files behind /dev/ubda, /dev/ubdb... */
  readonly disks: readonly string[];
  readonly stateDirectory: string;
  readonly consoleLog: string;
  readonly busybox: string;
  readonly init: string;
  readonly settings: string;
}

/** How a run ended: by the command's own exit, or because the kernel ended first. */
export type GuestEnd =
  | { readonly kind: 'exited'; readonly exitCode: number; readonly bootMs: number }
  | { readonly kind: 'died'; readonly how: string; readonly booted: boolean };

/** The kernel's command line. */
export function kernelArguments(machine: Machine): string[] {
  return [
    `mem=${Math.floor(machine.memoryBytes / 1024 ** 2)}M`,
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    ...machine.disks.map((file, index) => `ubd${index}=${file}`),
    'con=null',
    'con0=null,fd:1',
    'ssl=null',
    'ssl0=null,fd:3',
    'ssl1=null,fd:4',
    'ssl2=null,fd:5',
    `uml_dir=${machine.stateDirectory}`,
    // guest/init.sh mounts /dev, after it has read what may lie below the host's.
    'devtmpfs.mount=0',
    // A panic ends the process at once.
    'panic=-1',
    'printk.time=1',
    ...machine.kernel.parameters,
    `init=${machine.busybox}`,
    '--',
    'sh',
    machine.init,
    machine.settings,
  ];
}

/**
 * Runs the guest to its end. When `signal` aborts, its processes are killed and the end is `died`.
 * The caller's streams stay open.
 */
export async function runMachine(
  machine: Machine,
  stdout: Writable,
  stderr: Writable,
  signal: AbortSignal,
): Promise<GuestEnd> {
  await using log = await open(machine.consoleLog, 'w');
  const startedAt = performance.now();
  // Its own process group: a terminal's Ctrl-C does not reach it past us, and one kill ends all of it.
  const child = spawn(machine.kernel.path, kernelArguments(machine), {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd, 'pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TMPDIR: machine.memoryDirectory },
  });
  const kill = (): void => killGroup(child);
  signal.addEventListener('abort', kill, { once: true });
  // A helper process of the kernel that outlives it would hold our streams open.
  child.once('exit', kill);
  if (signal.aborted) kill();

  relay(child, 3, stdout);
  relay(child, 4, stderr);
  const words = readControl(child, startedAt);
  const [code, death] = await ended(child);
  signal.removeEventListener('abort', kill);
  const { exitCode, bootMs } = await words;
  if (exitCode !== undefined && bootMs !== undefined) return { kind: 'exited', exitCode, bootMs };
  const how = death === null ? `ended with code ${code ?? 'unknown'}` : `was ended by ${death}`;
  return { kind: 'died', how, booted: bootMs !== undefined };
}

async function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return [code, signal];
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: nothing of the group is left.
  }
}

function stream(child: ChildProcess, fd: number): Readable {
  const end = child.stdio[fd];
  if (!(end instanceof Readable)) throw new TypeError(`descriptor ${fd} is no pipe`);
  return end;
}

function relay(child: ChildProcess, fd: number, to: Writable): void {
  stream(child, fd).pipe(to, { end: false });
}

/** What guest/init.sh said on its third serial line. */
interface ControlWords {
  readonly bootMs: number | undefined;
  readonly exitCode: number | undefined;
}

async function readControl(child: ChildProcess, startedAt: number): Promise<ControlWords> {
  let bootMs: number | undefined;
  let exitCode: number | undefined;
  for await (const line of createInterface({ input: stream(child, 5) })) {
    const exit = /^exit (\d+)$/.exec(line)?.[1];
    if (line === 'ready') bootMs = performance.now() - startedAt;
    else if (exit !== undefined) exitCode = Number(exit);
  }
  return { bootMs, exitCode };
}

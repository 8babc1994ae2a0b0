/** Boots one guest, runs one command in it, and sees to it that nothing of it is left. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable, type Writable } from 'node:stream';
import { followConsole } from './console.ts';
import { createGuardian } from './guardian.ts';
import type { GuestKernel } from './kernel.ts';

/** Everything that the kernel is started with; see guest/init.sh for what happens then. */
export interface Machine {
  readonly kernel: GuestKernel;
  /** The host's processor that it keeps to; undefined for any. */
  readonly processor: number | undefined;
  readonly memoryBytes: number;
  /** Directory of the file that is the guest's memory. */
  readonly memoryDirectory: string;
  /** Host files behind /dev/ubda, /dev/ubdb... */
  readonly disks: readonly string[];
  readonly stateDirectory: string;
  readonly consoleLog: string;
  /** Directory to remove when this process dies before its guest; '' for none. */
  readonly guarded: string;
  readonly busybox: string;
  readonly init: string;
  readonly settings: string;
}

/** A broken kernel gets this long to say why. */
const FAULT_GRACE_MS = 2000;

/** How a run ended: by the command's own exit, by our doing, or because the kernel ended first. */
export type GuestEnd =
  | { readonly kind: 'exited'; readonly exitCode: number }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'interrupted' }
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
    // Making 512 device files that nobody opens takes a second.
    'pty.legacy_count=0',
    ...machine.kernel.parameters,
    `init=${machine.busybox}`,
    '--',
    'sh',
    machine.init,
    machine.settings,
  ];
}

/** Runs the guest to its end, which `timeoutMs` or `signal` may bring about. The caller's streams stay open. */
export async function runMachine(
  machine: Machine,
  streams: { readonly stdout: Writable; readonly stderr: Writable },
  signal: AbortSignal,
  timeoutMs: number,
): Promise<GuestEnd> {
  // Its own process group: a terminal's Ctrl-C does not reach it past us, and one kill ends all of it.
  const keepTo = machine.processor === undefined ? [] : ['taskset', '--cpu-list', `${machine.processor}`];
  const [program = '', ...args] = [...keepTo, machine.kernel.path, ...kernelArguments(machine)];
  const child = spawn(program, args, {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TMPDIR: machine.memoryDirectory },
  });
  using stack = new DisposableStack();
  stack.use(createGuardian(child.pid, machine.guarded));
  const limited = stack.use(limit(signal, timeoutMs, () => endGroup(child)));
  // A helper process of the kernel that outlives it would hold our streams open.
  child.once('exit', () => endGroup(child));

  let fault: string | undefined;
  const breaksDown = (line: string): void => {
    if (fault !== undefined) return;
    fault = line;
    // The kernel's own account of it follows; then there is nothing to wait for.
    stack.adopt(
      setTimeout(() => endGroup(child), FAULT_GRACE_MS),
      clearTimeout,
    );
  };
  const console = followConsole([stream(child, 1), stream(child, 2)], machine.consoleLog, breaksDown);

  stream(child, 3).pipe(streams.stdout, { end: false });
  stream(child, 4).pipe(streams.stderr, { end: false });
  const words = readControl(child);
  const [code, death] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const [{ booted, exitCode }] = await Promise.all([words, console]);
  if (fault !== undefined) return { kind: 'died', how: `broke down (${fault})`, booted };
  if (exitCode !== undefined) return { kind: 'exited', exitCode };
  const how = death === null ? `ended with code ${code ?? 'unknown'}` : `was ended by ${death}`;
  return limited.reached() ?? { kind: 'died', how, booted };
}

/** A bound on a run, until it is disposed of. */
export interface Limit extends Disposable {
  /** The bound that ended the run; undefined when none did. */
  reached(): GuestEnd | undefined;
}

/** Calls `end` once, when `signal` aborts (perhaps it has) or `timeoutMs` have passed. */
export function limit(signal: AbortSignal, timeoutMs: number, end: () => void): Limit {
  const timeout = AbortSignal.timeout(timeoutMs);
  const either = AbortSignal.any([signal, timeout]);
  either.addEventListener('abort', end, { once: true });
  if (either.aborted) end();
  return {
    reached() {
      if (signal.aborted) return { kind: 'interrupted' };
      return timeout.aborted ? { kind: 'timed-out' } : undefined;
    },
    [Symbol.dispose]() {
      either.removeEventListener('abort', end);
    },
  };
}

/** Kills every process of the group that `child`, spawned detached, leads. */
export function endGroup(child: ChildProcess): void {
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

/** What guest/init.sh said on its third serial line. */
async function readControl(
  child: ChildProcess,
): Promise<{ readonly booted: boolean; readonly exitCode: number | undefined }> {
  let booted = false;
  let exitCode: number | undefined;
  for await (const line of createInterface({ input: stream(child, 5) })) {
    const exit = /^exit (\d+)$/.exec(line)?.[1];
    if (line === 'ready') booted = true;
    else if (exit !== undefined) exitCode = Number(exit);
  }
  return { booted, exitCode };
}

/** A long-running program of the test node: its process, its log, its end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from './wait.ts';

export interface Program extends AsyncDisposable {
  readonly pid: number;
  /** Sends `signal` and waits for the end; SIGKILL after `graceMs`, which is an error. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>;
  /** The end of what it wrote, for people. */
  logTail(): Promise<string>;
}

export interface ProgramOptions {
  readonly argv: readonly [string, ...string[]];
  /** Standard output and error go here, after what is there already. */
  readonly logPath: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Becomes true when the program can be used. */
  readonly isReady: () => Promise<boolean>;
  readonly readyWithinMs?: number;
}

const READY_WITHIN_MS = 90_000;
const GRACE_MS = 30_000;
const TAIL_CHARACTERS = 4000;

/** @throws Error with the log's end when the program ends or is not ready in time; it is then killed. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { argv, logPath, env, isReady, readyWithinMs = READY_WITHIN_MS } = options;
  const [file, ...args] = argv;
  const name = basename(file);
  await using log = await open(logPath, 'a');
  const child = spawn(file, args, {
    stdio: ['ignore', log.fd, log.fd],
    env: { ...process.env, ...env },
    // Signals of the terminal are for the tests, which then end it in order.
    detached: true,
  });
  await once(child, 'spawn');
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} has no process`);
  const exited = once(child, 'exit');
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const logTail = async (): Promise<string> => (await readFile(logPath, 'utf8')).slice(-TAIL_CHARACTERS);

  async function stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = GRACE_MS): Promise<void> {
    if (hasEnded()) return;
    child.kill(signal);
    const grace = new AbortController();
    const outcome = await Promise.race([
      exited,
      sleep(graceMs, 'late' as const, { signal: grace.signal }).catch(() => undefined),
    ]);
    grace.abort();
    if (outcome !== 'late') return;
    child.kill('SIGKILL');
    await exited;
    throw new Error(`${name} did not end within ${graceMs / 1000} s of ${signal}\n${await logTail()}`);
  }

  try {
    await waitFor(`${name} is ready`, readyWithinMs, async () => {
      if (hasEnded()) return 'ended' as const;
      return (await isReady()) ? ('ready' as const) : undefined;
    });
    if (hasEnded()) throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode ?? 'nothing'}`);
  } catch (error) {
    await stop('SIGKILL');
    throw new Error(`${name} did not start:\n${await logTail()}`, { cause: error });
  }
  return { pid, stop, logTail, [Symbol.asyncDispose]: () => stop() };
}

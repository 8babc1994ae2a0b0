/** The runner's end of a victim: starts it, arms it, hears what it reaches, sees it die. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type SnapshotsClient } from '../../src/grpc/client.ts';
import { MUTATION_VARIABLE } from './mutations.ts';
import type { VictimOptions } from './victim.ts';

/** How the victim ended: its exit code or its signal. */
export type End = number | string;

export interface Victim extends AsyncDisposable {
  readonly client: SnapshotsClient;
  /** Points reached since the start or the last order to arm. */
  readonly trace: readonly string[];
  /** What it logged as an error. */
  readonly errors: readonly string[];
  readonly ended: Promise<End>;
  readonly alive: boolean;
  arm(killAt?: number): Promise<void>;
  hold(point: string): Promise<void>;
  /** Resolves when somebody stays at the held point. */
  held(): Promise<void>;
  /** Waits until nothing has been reached for so long. */
  settled(quietMs?: number): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<End>;
}

export interface StartOptions extends VictimOptions {
  readonly mutation?: string | undefined;
  /** Where the compiler keeps for the next victim what it compiled for one. */
  readonly compileCache: string;
}

const ORDER_TIMEOUT_MS = 20_000;
const START_TIMEOUT_MS = 40_000;
const CALL_TIMEOUT_MS = 20_000;
const QUIET_MS = 60;

const VICTIM = join(import.meta.dirname, 'victim.ts');
const MUTATE = join(import.meta.dirname, 'mutate.ts');

/** @returns the serving victim, or how it ended before it served. */
export async function startVictim(
  options: StartOptions,
): Promise<Victim | { readonly died: End; readonly trace: readonly string[]; readonly output: string }> {
  const { mutation, compileCache, ...forVictim } = options;
  const mutate = mutation === undefined ? [] : ['--import', MUTATE];
  const child = spawn(process.execPath, [...mutate, VICTIM, JSON.stringify(forVictim)], {
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NODE_COMPILE_CACHE: compileCache,
      ...(mutation === undefined ? {} : { [MUTATION_VARIABLE]: mutation }),
    },
  });
  const trace: string[] = [];
  const errors: string[] = [];
  let output = '';
  let reachedAt = performance.now();
  const waiting = new Map<string, () => void>();
  const told = child.stdio[3];
  if (!(told instanceof Readable)) throw new Error('no descriptor 3');
  createInterface({ input: told }).on('line', (line) => {
    const [kind = '', ...words] = line.split(' ');
    reachedAt = performance.now();
    if (kind === 'point') trace.push(words.join(' '));
    else if (kind === 'error') errors.push(words.join(' '));
    else if (kind !== 'warn') {
      waiting.get(kind)?.();
      waiting.delete(kind);
    }
  });
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stdin?.on('error', () => undefined);
  const life = { over: false };
  // Programs that the victim left running keep its pipes open: 'close' would wait for them.
  const ended = once(child, 'exit').then(([code, signal]) => {
    life.over = true;
    return (code ?? signal) as End;
  });

  /** Resolves at the line; rejects when the victim ends or is silent for too long. */
  async function hear(kind: string, timeoutMs: number): Promise<void> {
    const heard = new Promise<void>((resolve) => waiting.set(kind, resolve));
    const late = new AbortController();
    try {
      await Promise.race([
        heard,
        ended.then((end) =>
          Promise.reject(new Error(`the victim ended (${end}) before "${kind}": ${output}`)),
        ),
        sleep(timeoutMs, undefined, { signal: late.signal }).then(() =>
          Promise.reject(new Error(`the victim did not say "${kind}" within ${timeoutMs} ms: ${output}`)),
        ),
      ]);
    } finally {
      late.abort();
    }
  }

  async function order(line: string): Promise<void> {
    const done = hear('done', ORDER_TIMEOUT_MS);
    child.stdin?.write(`${line}\n`);
    await done;
  }

  async function kill(): Promise<void> {
    child.kill('SIGKILL');
    await ended;
  }

  try {
    await hear('ready', START_TIMEOUT_MS);
  } catch (error) {
    if (life.over) return { died: await ended, trace, output };
    await kill();
    throw error;
  }
  const client = await connect(options.config.address, { deadlineMs: CALL_TIMEOUT_MS });
  return {
    ...{ client, trace, errors, ended, kill },
    get alive() {
      return !life.over;
    },
    async arm(killAt) {
      await order(`arm ${killAt ?? ''}`.trimEnd());
      trace.length = 0;
      errors.length = 0;
    },
    hold: (point) => order(`hold ${point}`),
    held: () => hear('held', ORDER_TIMEOUT_MS),
    async settled(quietMs = QUIET_MS) {
      while (performance.now() - reachedAt < quietMs) await sleep(quietMs / 3);
    },
    async stop() {
      client.close();
      child.stdin?.write('stop\n');
      return ended;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await kill();
    },
  };
}

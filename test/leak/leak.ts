/**
 * A daemon as a process of its own under all kinds of calls, and what it holds meanwhile: memory and file descriptors.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { retry } from '../../src/base/retry.ts';
import { connect, type SnapshotsClient } from '../../src/grpc/client.ts';
import { createNode } from '../guest/node.ts';
import { anyCall, seeded } from '../linearizability/callers.ts';
import { targetOf } from '../linearizability/client-target.ts';

export interface Sample {
  readonly operations: number;
  readonly seconds: number;
  readonly rssMiB: number;
  readonly descriptors: number;
  readonly threads: number;
}

export interface LeakOptions {
  readonly operations: number;
  /** A sample after each so many. */
  readonly every: number;
  readonly onSample: (sample: Sample) => void;
}

const CALLERS = 8;
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
/** One call in so many comes over a connection of its own and is given up half-way. */
const CUT_EVERY = 20;

/** @returns the samples. Each is taken while no call is under way and no client connected but one. */
export async function measureLeaks({ operations, every, onSample }: LeakOptions): Promise<Sample[]> {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await createNode());
  const config = join(node.directory, 'config.toml');
  const { poolName, rootPath, address } = node.config();
  await writeFile(
    config,
    `pool_name = "${poolName}"\nroot_path = "${rootPath}"\naddress = "${address}"\nbase_image_size = "64MB"\nlog_level = "error"\n`,
  );
  const program = new URL('../../bin/dmthin', import.meta.url).pathname;
  const daemon = spawn(program, ['serve', '--config', config], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(daemon, 'exit');
  stack.defer(async () => {
    daemon.kill('SIGTERM');
    await ended;
  });
  const answering = { codes: ['unavailable'], deadlineMs: 60_000, pauseMs: 50, maxPauseMs: 500 } as const;
  const client = await retry(answering, () => connect(address));
  stack.defer(() => client.close());

  const random = seeded(1);
  const startedAt = performance.now();
  const samples: Sample[] = [];
  let done = 0;
  while (done < operations) {
    await Promise.all(
      Array.from({ length: CALLERS }, async (_, caller) => {
        const own = await connect(address);
        for (let count = 0; count < every / CALLERS; count += 1)
          await callOnce(own, address, random, `${caller}`);
        own.close();
      }),
    );
    done += every;
    await client.cleanup();
    const sample = {
      operations: done,
      seconds: Math.round((performance.now() - startedAt) / 1000),
      ...(await readHoldings(daemon.pid ?? 0)),
    };
    samples.push(sample);
    onSample(sample);
  }
  return samples;
}

/** Refusals are as good as successes here. */
async function callOnce(
  client: SnapshotsClient,
  address: string,
  random: () => number,
  serial: string,
): Promise<void> {
  const call = anyCall(random, KEYS, serial);
  if (random() >= 1 / CUT_EVERY) {
    await targetOf(client)
      .ask(call)
      .catch(() => undefined);
    return;
  }
  const gone = new AbortController();
  const brief = await connect(address, { signal: gone.signal, deadlineMs: 20 });
  setTimeout(() => gone.abort(), random() * 15);
  await targetOf(brief)
    .ask(call)
    .catch(() => undefined);
  brief.close();
}

async function readHoldings(pid: number): Promise<Pick<Sample, 'rssMiB' | 'descriptors' | 'threads'>> {
  // Connections of clients that have just gone are closed by the daemon a moment later.
  let descriptors = (await readdir(`/proc/${pid}/fd`)).length;
  for (let tries = 0; tries < 20; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    descriptors = Math.min(descriptors, (await readdir(`/proc/${pid}/fd`)).length);
  }
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const number = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return { rssMiB: Math.round(number('VmRSS') / 1024), descriptors, threads: number('Threads') };
}

/**
 * What has grown since the first quarter: the heap is still warming up then.
 * @returns in words; empty when nothing has.
 */
export function findGrowth(samples: readonly Sample[]): string[] {
  const quarter = Math.max(1, Math.floor(samples.length / 4));
  const highest = (part: readonly Sample[], of: (sample: Sample) => number): number =>
    Math.max(...part.map(of));
  const [early, late] = [samples.slice(quarter, 2 * quarter), samples.slice(-quarter)];
  if (samples.length < 4) throw new Error('too few samples to see growth');
  const found: string[] = [];
  for (const [what, of, mayGrow] of [
    ['memory (MiB)', (sample: Sample) => sample.rssMiB, 8],
    ['file descriptors', (sample: Sample) => sample.descriptors, 0],
    ['threads', (sample: Sample) => sample.threads, 0],
  ] as const) {
    const [before, after] = [highest(early, of), highest(late, of)];
    if (after > before + mayGrow) found.push(`${what} grew from ${before} to ${after}`);
  }
  return found;
}

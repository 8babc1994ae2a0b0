/**
 * Kill after kill: callers work, the daemon dies at a random moment, starts again, and everything is compared with what was
 * acknowledged. The machine stays up; test/power-cut takes that too.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFile } from 'node:fs/promises';
import { connect, type SnapshotsClient } from '../../src/grpc/client.ts';
import { type Program, startProgram } from '../e2e/harness/program.ts';
import { DMTHIN } from '../e2e/harness/pool.ts';
import { run } from '../e2e/harness/run.ts';
import { accepts } from '../e2e/harness/sockets.ts';
import { createNode, MiB, type TestNode } from '../guest/node.ts';
import { allWords, runCallers } from '../workload/callers.ts';
import { compareContents, compareDevices, listAll } from '../workload/found.ts';
import { createModel, type Model } from '../workload/model.ts';
import { createRandom, type Random } from '../workload/random.ts';

export interface SoakOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly say: (line: string) => void;
}

export interface SoakResult {
  readonly rounds: number;
  readonly kills: number;
  readonly acknowledged: number;
  /** Of the round that failed, at which the soak ends; none: all is well. */
  readonly problems: readonly string[];
}

const CALLERS = 32;
const MOST_OPERATIONS = 250;
const LONGEST_PAUSE_MS = 15;
/** A start takes about a second in the guest: early enough to meet it at every stage. */
const LONGEST_START_MS = 2500;

export async function soak({ seed, rounds, say }: SoakOptions): Promise<SoakResult> {
  await using node = await createNode({ dataBytes: 2048 * MiB, metadataBytes: 16 * MiB });
  const model = createModel();
  await using daemon = createDaemon(node);
  let [kills, acknowledged] = [0, 0];
  /** Says it at once: a device that somebody still holds may spoil the taking down of the node. */
  async function failed(round: number, problems: readonly string[]): Promise<SoakResult> {
    const all = [...problems, await daemon.log(), await run(['dmsetup', 'ls', '--tree'])];
    for (const problem of all) say(problem);
    return { rounds: round, kills, acknowledged, problems: all };
  }

  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(seed).fork(round);
    try {
      await daemon.configure(random);
      if (random.percent(25)) {
        await daemon.dieStarting(random.below(LONGEST_START_MS));
        kills += 1;
      }
      await daemon.start();
      const problems = await verify(node, daemon.client(), model);
      if (problems.length > 0) return await failed(round, problems);
      const count = await work(daemon, model, random, round);
      kills += 1;
      acknowledged += count;
      say(
        `round ${round + 1} of ${rounds}: ${count} operations acknowledged, ${model.doubts.size} in doubt, ${model.snapshots.size} snapshots`,
      );
    } catch (error) {
      return await failed(round, [allWords(error)]);
    }
  }
  await daemon.start();
  const problems = await verify(node, daemon.client(), model);
  if (problems.length > 0) problems.push(await daemon.log());
  await daemon.stop();
  return { rounds, kills, acknowledged, problems };
}

/** Lets the callers work and kills the daemon under them. @returns how many operations were acknowledged. */
async function work(daemon: Daemon, model: Model, random: Random, era: number): Promise<number> {
  const killAt = CALLERS + random.below(MOST_OPERATIONS);
  const pauseMs = random.below(LONGEST_PAUSE_MS);
  const killTime = Promise.withResolvers<undefined>();
  let [asked, acknowledged, ending] = [0, 0, false];
  const workload = {
    client: daemon.client(),
    model,
    era,
    ending: () => ending,
    onAsk: () => {
      asked += 1;
      if (asked === killAt) killTime.resolve(undefined);
    },
    onAcknowledged: () => void (acknowledged += 1),
    onWritten: () => undefined,
    slots: 2,
  };
  const working = runCallers(CALLERS, random, workload);
  try {
    await Promise.race([killTime.promise, working]);
    await sleep(pauseMs);
  } finally {
    ending = true;
    await daemon.kill();
  }
  await working;
  return acknowledged;
}

/** @returns what is not as it was acknowledged, in words. */
async function verify(node: TestNode, client: SnapshotsClient, model: Model): Promise<string[]> {
  const problems = model.settle(await listAll(client));
  if (problems.length > 0) return problems;
  problems.push(...(await compareContents(client, model)));
  // Not a second one after the first failed: a removal that recovery left is finished now, whatever was in its way.
  await client.cleanup();
  const { rootPath } = node.config();
  problems.push(...(await compareDevices({ rootPath, poolName: node.poolName, dm: node.dm })));
  return problems;
}

interface Daemon extends AsyncDisposable {
  /** Settings for the next start. */
  configure(random: Random): Promise<void>;
  start(): Promise<void>;
  /** Begins to start and is killed so many milliseconds later. */
  dieStarting(afterMs: number): Promise<void>;
  client(): SnapshotsClient;
  kill(): Promise<void>;
  stop(): Promise<void>;
  log(): Promise<string>;
}

function createDaemon(node: TestNode): Daemon {
  const configPath = join(node.directory, 'config.toml');
  const { rootPath, address, poolName } = node.config();
  let program: Program | undefined;
  let connected: SnapshotsClient | undefined;

  const launch = (isReady: () => Promise<boolean>): Promise<Program> =>
    startProgram({
      argv: [DMTHIN, 'serve', '--config', configPath],
      logPath: join(node.directory, 'dmthin.log'),
      isReady,
    });

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await program?.stop(signal);
  }

  return {
    async configure(random) {
      const settings = {
        pool_name: poolName,
        root_path: rootPath,
        address,
        base_image_size: random.percent(15) ? '56MB' : '48MB',
        async_remove: random.percent(30),
        discard_blocks: random.percent(40),
        log_level: 'warn',
      };
      const lines = Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`);
      await writeFile(configPath, lines.join(''));
    },
    async start() {
      program = await launch(() => accepts({ path: address }));
      // The old one was kept until now, so that callers heard from it that nobody answers.
      connected?.close();
      connected = await connect(address);
    },
    async dieStarting(afterMs) {
      program = await launch(() => Promise.resolve(true));
      await sleep(afterMs);
      await end('SIGKILL');
    },
    client() {
      if (connected === undefined) throw new Error('the daemon does not run');
      return connected;
    },
    kill: () => end('SIGKILL'),
    async [Symbol.asyncDispose]() {
      await end('SIGKILL');
      connected?.close();
    },
    stop: () => end('SIGTERM'),
    log: async () => (await program?.logTail()) ?? '',
  };
}

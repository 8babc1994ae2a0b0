/** Kills a scenario's victim at its points, one after the other, and looks at what is left each time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type DmthinError, toDmthinError } from '../../src/base/errors.ts';
import { connectAdmin } from '../../src/grpc/admin-client.ts';
import { findProblems } from './invariants.ts';
import { groupPoints } from './points.ts';
import type { Scenario } from './scenario.ts';
import { createSession, type Session, type SessionOptions, type Start } from './session.ts';

/** After its reply, an operation has reached all its points when none comes for so long. */
const LAST_POINTS_MS = 500;
/** So long a victim may take, after its reply, to reach the point of its death. */
const DEATH_MS = 5000;

export interface RunOptions extends SessionOptions {
  /** Of the groups of points, every `every`th is killed, beginning with number `offset` (from 0). */
  readonly every: number;
  readonly offset: number;
  /** Ends the scenario at the first failure. */
  readonly stopAtFailure: boolean;
}

export interface Failure {
  readonly scenario: string;
  /** The point of the death; undefined in the round that nobody dies in. */
  readonly point: string | undefined;
  readonly problems: readonly string[];
}

export interface ScenarioResult {
  readonly points: number;
  readonly kills: number;
  /** Points that the undisturbed round reached and a later one did not. */
  readonly notReached: readonly string[];
  readonly failures: readonly Failure[];
  readonly trace: readonly string[];
  /** For the next scenario, unless this one has used it up. */
  readonly session: Session | undefined;
}

/** @param before the session of the scenario before this one. */
export async function runScenario(
  scenario: Scenario,
  options: RunOptions,
  before?: Session,
): Promise<ScenarioResult> {
  const failures: Failure[] = [];
  const notReached: string[] = [];
  let session = before;
  let kills = 0;
  let points = 0;

  const drop = async (): Promise<void> => {
    const used = session;
    session = undefined;
    await used?.[Symbol.asyncDispose]();
  };

  async function round(killAt?: number): Promise<RoundResult> {
    session ??= await createSession({ ...options, world: scenario.ownWorld });
    const result = await runRound(scenario, session, killAt);
    if (result.problems.length === 0) return result;
    const point = killAt === undefined ? undefined : `${killAt} (${trace[killAt - 1] ?? ''})`;
    failures.push({ scenario: scenario.name, point, problems: result.problems });
    // What a failure leaves must not fail the next rounds.
    await drop();
    return result;
  }

  let trace: readonly string[] = [];
  try {
    if (scenario.ownWorld !== undefined) await drop();
    ({ trace } = await round());
    const chosen =
      failures.length > 0
        ? []
        : groupPoints(trace).filter((_, index) => index % options.every === options.offset % options.every);
    for (const group of chosen) {
      const [killAt = 0] = group;
      if ((await round(killAt)).died) {
        kills += 1;
        points += group.length;
      } else notReached.push(`${killAt} (${trace[killAt - 1] ?? ''})`);
      if (options.stopAtFailure && failures.length > 0) break;
    }
    if (scenario.ownWorld !== undefined) await drop();
    return { points, kills, notReached, failures, trace, session };
  } catch (error) {
    await drop();
    throw error;
  }
}

interface Death {
  /** The points reached until then. */
  readonly trace: readonly string[];
  readonly died: boolean;
}

interface RoundResult extends Death {
  readonly problems: readonly string[];
}

async function runRound(
  scenario: Scenario,
  session: Session,
  killAt: number | undefined,
): Promise<RoundResult> {
  const number = session.nextRound();
  const { world } = session;
  const start = { config: world.config(scenario.config?.(number, world)), transport: scenario.transport };
  let death: Death = { trace: [], died: false };
  try {
    if (scenario.noLayer !== true) await session.ensureLayer(scenario.transport);
    const die = scenario.dies === 'start' ? dieInStart : dieInOperation;
    death = await die({ scenario, session, start, number, killAt });
    return { ...death, problems: await survive({ scenario, session, start, number }) };
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ...death, problems: [words] };
  }
}

interface Part {
  readonly scenario: Scenario;
  readonly session: Session;
  readonly start: Start;
  readonly number: number;
}
type DyingPart = Part & { readonly killAt: number | undefined };

async function dieInStart({ scenario, session, start, number, killAt }: DyingPart): Promise<Death> {
  if (scenario.before === undefined) await session.stop();
  else {
    const victim = await session.serving(start);
    await scenario.before(session.roundOf(victim, number));
    session.died();
  }
  const victim = await session.startToDie(start, killAt);
  return { trace: [...(victim?.trace ?? [])], died: victim === undefined };
}

async function dieInOperation({ scenario, session, start, number, killAt }: DyingPart): Promise<Death> {
  const victim = await session.serving(start);
  const round = session.roundOf(victim, number);
  await scenario.before?.(round);
  await victim.settled();
  await victim.arm(killAt);
  let failure: DmthinError | undefined;
  try {
    await scenario.operate?.(round);
  } catch (error) {
    failure = toDmthinError(error, scenario.name);
  }
  // The reply may come before the last points, and a call may fail before the kernel tells of the death.
  if (killAt === undefined) await victim.settled(LAST_POINTS_MS);
  else await Promise.race([victim.ended, sleep(DEATH_MS, undefined, { ref: false })]);
  const trace = [...victim.trace];
  if (!victim.alive) {
    session.died();
    return { trace, died: true };
  }
  if (failure !== undefined) throw failure;
  return { trace, died: false };
}

/** What `dmthin check` finds, asked of the daemon that serves. */
async function askCheck(address: string): Promise<string[]> {
  const admin = await connectAdmin(address);
  try {
    return (await admin.check()).findings.map(({ kind, what }) => `dmthin check: ${kind}: ${what}`);
  } finally {
    admin.close();
  }
}

/** After the death: the next daemon, what it found and did, and the request once more. */
async function survive({ scenario, session, start, number }: Part): Promise<string[]> {
  const victim = await session.serving(start);
  const round = session.roundOf(victim, number);
  await scenario.afterStart?.(round);
  await victim.settled();
  const { rootPath, address } = start.config;
  const problems = [
    ...victim.errors,
    ...(await findProblems(session.world, rootPath)),
    ...(await askCheck(address)),
  ];
  await scenario.repeat?.(round);
  await scenario.after?.(round);
  await victim.settled();
  const later = (await findProblems(session.world, rootPath)).filter(
    (problem) => !problems.includes(problem),
  );
  return [...problems, ...later.map((problem) => `after the request was repeated: ${problem}`)];
}

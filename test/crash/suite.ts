/** The whole suite: every scenario, or every mutation, with the figures that docs/reliability.md records. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mutation, MUTATIONS } from './mutations.ts';
import { type Failure, runScenario } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import type { Session } from './session.ts';
import { SCENARIOS } from './scenarios.ts';

/** The quick form kills at every so many crashes. */
export const QUICK_EVERY = 9;

export type Say = (line: string) => void;

export interface Crashes {
  /** Every `every`th crash of a scenario. */
  readonly every: number;
  /** Number of the first, from 0; each scenario begins one further than the one before it. */
  readonly offset: number;
  /** All when empty. */
  readonly scenarios?: readonly string[];
  /** Says each scenario's points. */
  readonly trace?: boolean;
}

export interface CrashTotals {
  readonly points: number;
  readonly kills: number;
  readonly operations: number;
  readonly failures: readonly Failure[];
}

/** @throws when a name is none of theirs. */
function named<T extends { readonly name: string }>(
  all: readonly T[],
  names: readonly string[],
): readonly T[] {
  const unknown = names.find((name) => all.every((one) => one.name !== name));
  if (unknown !== undefined)
    throw new Error(`${unknown} is none of: ${all.map(({ name }) => name).join(', ')}`);
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

export async function runCrashes(
  { every, offset, scenarios = [], trace = false }: Crashes,
  say: Say,
): Promise<CrashTotals> {
  const chosen = named(SCENARIOS, scenarios);
  const startedAt = performance.now();
  const failures: Failure[] = [];
  let [points, kills, operations] = [0, 0, 0];
  await withCompileCache(async (compileCache) => {
    let session: Session | undefined;
    for (const [index, scenario] of chosen.entries()) {
      const begunAt = performance.now();
      const options = { every, offset: offset + index, compileCache, stopAtFailure: false };
      const result = await runScenario(scenario, options, session);
      ({ session } = result);
      points += result.points;
      kills += result.kills;
      operations += scenario.operations;
      failures.push(...result.failures);
      say(
        `${scenario.name}: ${result.points} of ${result.trace.length} points, ${result.kills} kills, ${secondsSince(begunAt, 1)} s, ${result.failures.length} failed`,
      );
      if (trace) result.trace.forEach((point, at) => say(`  ${at + 1} ${point}`));
      if (result.notReached.length > 0) say(`  not reached again: ${result.notReached.join('; ')}`);
      for (const failure of result.failures) tellFailure(failure, say);
    }
    await session?.[Symbol.asyncDispose]();
  });
  say(
    `killed at ${points} points of ${operations} operations, by ${kills} SIGKILLs, in ${secondsSince(startedAt, 0)} s; ${failures.length} failed`,
  );
  return { points, kills, operations, failures };
}

export interface MutationOutcome {
  readonly mutation: Mutation;
  /** The failure that showed it; undefined: no scenario noticed. */
  readonly noticed: Failure | undefined;
}

export async function runMutations(names: readonly string[], say: Say): Promise<readonly MutationOutcome[]> {
  const startedAt = performance.now();
  const outcomes: MutationOutcome[] = [];
  await withCompileCache(async (compileCache) => {
    for (const mutation of named(MUTATIONS, names)) {
      let noticed: Failure | undefined;
      for (const scenario of named(SCENARIOS, mutation.scenarios)) {
        noticed ??= await failureOf(scenario, mutation, compileCache);
      }
      outcomes.push({ mutation, noticed });
      say(`${mutation.name}: ${mutation.breaks}`);
      if (noticed === undefined) say('  NOT NOTICED');
      else tellFailure(noticed, say, 'noticed');
    }
  });
  const missed = outcomes.filter(({ noticed }) => noticed === undefined).length;
  say(
    `${outcomes.length - missed} of ${outcomes.length} mutations noticed, in ${secondsSince(startedAt, 0)} s`,
  );
  return outcomes;
}

async function failureOf(
  scenario: Scenario,
  { name }: Mutation,
  compileCache: string,
): Promise<Failure | undefined> {
  const options = { every: 1, offset: 0, compileCache, stopAtFailure: true, mutation: name };
  const { failures, session } = await runScenario(scenario, options);
  await session?.[Symbol.asyncDispose]();
  // What fails without a crash is no evidence for a suite of crashes.
  return failures.find(({ point }) => point !== undefined);
}

function tellFailure({ scenario, point, problems }: Failure, say: Say, word = 'FAILED'): void {
  say(
    `  ${word}: ${scenario}, ${point === undefined ? 'before anybody was killed' : `killed at point ${point}`}:`,
  );
  for (const problem of problems) say(`    ${problem}`);
}

async function withCompileCache(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'compile-cache-'));
  try {
    await body(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

function secondsSince(startedAt: number, digits: number): string {
  return ((performance.now() - startedAt) / 1000).toFixed(digits);
}

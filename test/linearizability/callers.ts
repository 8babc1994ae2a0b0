/** Callers that ask for anything at any time on a few keys, and the history of what they were answered. */
import assert from 'node:assert/strict';
import { DmthinError, hasCode } from '../../src/base/errors.ts';
import type { SnapshotInfo } from '../../src/snapshotter/snapshotter.ts';
import { findOrder } from './checker.ts';
import {
  type Answer,
  type Call,
  describeAll,
  describeEntry,
  type Entry,
  keyOf,
  type Observed,
  type State,
  toEvents,
} from './model.ts';

export const LABEL = 'value';

/** The snapshotter itself, or a client of a daemon. */
export interface Target {
  /** @returns what Stat, Update and List showed. */
  ask(call: Call): Promise<readonly SnapshotInfo[] | undefined>;
}

export interface Recorder {
  readonly history: readonly Observed[];
  /** Asks and notes; never throws, unless the answer has a code that nothing explains. */
  ask(target: Target, call: Call): Promise<Answer>;
  /** All calls whose answer nobody heard have surely ended by now. */
  settle(): void;
}

/** Codes after which a call may still have had its effect. */
const UNHEARD = ['cancelled', 'deadline_exceeded', 'unavailable'] as const;

/** @param unheard whether calls are given up half-way, so that an error of the client says nothing of the effect. */
export function createRecorder(unheard = false): Recorder {
  const history: Observed[] = [];
  let clock = 0;
  const tick = (): number => (clock += 1);
  return {
    history,
    async ask(target, call) {
      const start = tick();
      const answer = await target.ask(call).then(
        (infos): Answer => (infos === undefined ? { is: 'ok' } : { is: 'ok', saw: sightOf(call, infos) }),
        (error: unknown): Answer => {
          if (unheard && hasCode(error, ...UNHEARD)) return { is: 'unknown' };
          if (error instanceof DmthinError) return { is: 'refused', code: error.code };
          throw error;
        },
      );
      history.push({ call, answer, start, end: answer.is === 'unknown' ? Infinity : tick() });
      return answer;
    },
    settle() {
      const now = tick();
      for (const [index, observed] of history.entries())
        if (observed.end === Infinity) history[index] = { ...observed, end: now };
    },
  };
}

const entryOf = ({ kind, parent, labels }: SnapshotInfo): Entry => ({
  is: kind,
  parent,
  label: labels[LABEL] ?? '',
});

/** The state that List shows when nothing is under way. */
export function stateOf(infos: readonly SnapshotInfo[]): State {
  return Object.fromEntries(infos.map((info) => [info.name, entryOf(info)]));
}

function sightOf(call: Call, infos: readonly SnapshotInfo[]): string {
  if (call.op === 'list') return describeAll(infos.map((info) => [info.name, entryOf(info)]));
  return infos.map((info) => describeEntry(entryOf(info))).join();
}

/** Numbers from 0 to 1, the same ones for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const OPS = [
  ...['prepare', 'prepare', 'prepare', 'view', 'commit', 'commit', 'commit', 'remove', 'remove', 'remove'],
  ...['update', 'mounts', 'usage', 'stat', 'stat', 'list'],
] as readonly Call['op'][];

/** A call of any kind on any of `keys`. `serial` makes its label its own. */
export function anyCall(random: () => number, keys: readonly string[], serial: string): Call {
  const pick = <T>(list: readonly T[], fallback: T): T =>
    list[Math.floor(random() * list.length)] ?? fallback;
  const op = pick(OPS, 'stat');
  const key = pick(keys, '');
  switch (op) {
    case 'prepare':
    case 'view':
      return { op, key, parent: random() < 0.4 ? '' : pick(keys, ''), label: serial };
    case 'commit':
      return { op, key, name: pick(keys, ''), label: serial };
    case 'update':
      return { op, key, label: serial };
    case 'list':
      return { op };
    case 'remove':
    case 'stat':
    case 'mounts':
    case 'usage':
      return { op, key };
    default:
      return op satisfies never;
  }
}

/** Fails with the calls that no order explains. */
export function assertExplained(history: readonly Observed[], initial: State = {}): void {
  const verdict = findOrder(toEvents(history), initial, keyOf);
  if (verdict.ok) return;
  const { explained, stuck } = verdict;
  assert.fail(
    `no order explains these calls; so far\n  ${explained.slice(-25).join('\n  ')}\nand then none of\n  ${stuck.join('\n  ')}`,
  );
}

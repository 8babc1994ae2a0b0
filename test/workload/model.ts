/**
 * What the snapshotter has been told and has acknowledged: the yardstick that it is measured by after a crash.
 *
 * INVARIANTS
 * - A change is in doubt from the moment it is asked for until it is answered. Whoever dies in between leaves the doubt:
 *   afterwards the change has happened as a whole or not at all.
 * - Nobody asks for a change of a key while another of that key is in doubt.
 */
import type { SnapshotInfo } from '../../src/snapshotter/snapshotter.ts';
import type { Files } from './files.ts';

export interface Expected {
  readonly kind: 'active' | 'view' | 'committed';
  /** '' for none. */
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly files: Files;
  /** Files of which only a power cut may tell what is in them: written, and not durable yet. */
  readonly unsure?: ReadonlySet<string>;
}

/** What each key is afterwards; undefined: gone. */
export type Change = ReadonlyMap<string, Expected | undefined>;

export interface Asked {
  acknowledged(): void;
  /** With an error, which means that nothing has changed. */
  refused(): void;
}

export interface Written {
  /** All is written. @param synced and durable. */
  done(files: Files, synced: boolean): void;
}

export interface Model {
  readonly snapshots: ReadonlyMap<string, Expected>;
  readonly doubts: ReadonlySet<Change>;
  ask(change: Change): Asked;
  /** Somebody who has it mounted begins to write these files. */
  writes(key: string, names: Iterable<string>): Written;
  /** Decides all doubts by what was found. @returns what fits neither before nor after, in words. */
  settle(found: ReadonlyMap<string, SnapshotInfo>): string[];
}

export function createModel(start: Iterable<readonly [string, Expected]> = []): Model {
  const snapshots = new Map<string, Expected>(start);
  const doubts = new Set<Change>();

  function apply(change: Change): void {
    for (const [key, after] of change) {
      if (after === undefined) snapshots.delete(key);
      else snapshots.set(key, after);
    }
  }

  return {
    snapshots,
    doubts,
    ask(change) {
      doubts.add(change);
      return {
        acknowledged() {
          doubts.delete(change);
          apply(change);
        },
        refused: () => void doubts.delete(change),
      };
    },
    writes: (key) => ({
      done(files) {
        const before = snapshots.get(key);
        if (before !== undefined) snapshots.set(key, { ...before, files });
      },
    }),
    settle(found) {
      const problems: string[] = [];
      for (const change of doubts) {
        const is = [...change.keys()].map((key) => looks(found.get(key)));
        const before = [...change.keys()].map((key) => looksOf(snapshots.get(key)));
        const after = [...change.values()].map(looksOf);
        if (is.join() === after.join()) apply(change);
        else if (is.join() !== before.join()) {
          problems.push(
            `${[...change.keys()].join(', ')}: found ${is.join(', ')}, which is neither what it was (${before.join(', ')}) nor what it was to become (${after.join(', ')})`,
          );
        }
      }
      doubts.clear();
      for (const key of new Set([...snapshots.keys(), ...found.keys()])) {
        const [is, expected] = [looks(found.get(key)), looksOf(snapshots.get(key))];
        if (is !== expected) problems.push(`${key}: found ${is} instead of ${expected}`);
      }
      return problems;
    },
  };
}

/** All that the snapshotter tells of a snapshot, but for its times. */
function looks(info: Omit<Expected, 'files' | 'unsure'> | undefined): string {
  if (info === undefined) return 'nothing';
  const labels = Object.entries(info.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([info.kind, info.parent, labels]);
}

const looksOf: (expected: Expected | undefined) => string = looks;

/**
 * What callers asked for and were told, with marks in the disk's log: what must be on the disk at any point of that log.
 *
 * INVARIANTS
 * - A caller goes on only when the mark after its last answer is in the log: at any point at most one change of a key is in doubt.
 * - Events are kept in the order in which they were begun; those of one key follow each other.
 */
import type { Files } from '../workload/files.ts';
import { type Change, createModel, type Expected, type Model } from '../workload/model.ts';

interface Begun {
  /** The last mark that was in the log for certain before it was begun; undefined: none. */
  readonly after: number | undefined;
  /** The first mark that was made after its end; undefined: it did not end, or with an error. */
  mark?: number;
}

interface ChangeEvent extends Begun {
  readonly kind: 'change';
  readonly change: Change;
}

interface WriteEvent extends Begun {
  readonly kind: 'write';
  readonly key: string;
  readonly names: readonly string[];
  files?: Files;
  synced?: boolean;
}

export interface History {
  /** For the callers. What it tells is as of now. */
  readonly model: Model;
  /** Puts a mark into the log; what has ended before is acknowledged at that mark. */
  mark(): Promise<void>;
  /**
   * What a disk must have that has everything of the log before some entry.
   * @param isLogged whether a mark is before that entry.
   */
  expectedWhen(isLogged: (mark: number) => boolean): Model;
}

/** @param tell makes the mark of that number, and ends when it is in the log. */
export function createHistory(tell: (mark: number) => Promise<void>): History {
  const now = createModel();
  const events: (ChangeEvent | WriteEvent)[] = [];
  let unmarked: Begun[] = [];
  let count = 0;
  let lastLogged: number | undefined;

  const model: Model = {
    ...now,
    ask(change) {
      const event: ChangeEvent = { kind: 'change', change, after: lastLogged };
      events.push(event);
      const asked = now.ask(change);
      return {
        acknowledged() {
          asked.acknowledged();
          unmarked.push(event);
        },
        refused() {
          asked.refused();
          events.splice(events.indexOf(event), 1);
        },
      };
    },
    writes(key, names) {
      const event: WriteEvent = { kind: 'write', key, names: [...names], after: lastLogged };
      events.push(event);
      const written = now.writes(key, names);
      return {
        done(files, synced) {
          written.done(files, synced);
          Object.assign(event, { files, synced });
          unmarked.push(event);
        },
      };
    },
  };

  return {
    model,
    async mark() {
      count += 1;
      const mark = count;
      for (const event of unmarked) event.mark = mark;
      unmarked = [];
      await tell(mark);
      lastLogged = Math.max(lastLogged ?? 0, mark);
    },
    expectedWhen(isLogged) {
      const snapshots = new Map<string, Expected>();
      const doubts: Change[] = [];
      for (const event of events) {
        if (event.after !== undefined && !isLogged(event.after)) continue;
        const ended = event.mark !== undefined && isLogged(event.mark);
        if (event.kind === 'write') noteWrite(snapshots, event, ended);
        else if (!ended) doubts.push(keepUnsure(snapshots, event.change));
        else apply(snapshots, keepUnsure(snapshots, event.change));
      }
      const expected = createModel(snapshots);
      for (const change of doubts) expected.ask(change);
      return expected;
    },
  };
}

function noteWrite(snapshots: Map<string, Expected>, event: WriteEvent, ended: boolean): void {
  const before = snapshots.get(event.key);
  if (before === undefined) return;
  const unsure = new Set(before.unsure);
  const durable = ended && event.synced === true;
  for (const name of event.names) {
    if (durable) unsure.delete(name);
    else unsure.add(name);
  }
  snapshots.set(event.key, { ...before, files: (ended ? event.files : undefined) ?? before.files, unsure });
}

function apply(snapshots: Map<string, Expected>, change: Change): void {
  for (const [key, after] of change) {
    if (after === undefined) snapshots.delete(key);
    else snapshots.set(key, after);
  }
}

/** Commit makes everything durable; of what stays active the unsure files stay unsure. */
function keepUnsure(snapshots: ReadonlyMap<string, Expected>, change: Change): Change {
  return new Map(
    [...change].map(([key, after]) => {
      const unsure = snapshots.get(key)?.unsure;
      if (after?.kind !== 'active' || unsure === undefined) return [key, after];
      return [key, { ...after, unsure }];
    }),
  );
}

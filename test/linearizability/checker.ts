/**
 * Whether a history of overlapping calls is explained by some order in which they took effect one at a time: each call
 * between its start and its end, each answer the one that the model gives in that order. Pure.
 *
 * The search is Wing and Gong's, with Lowe's memory of what was tried: Testing and verifying concurrent objects (1993), Testing
 * for linearizability (2017). Exponential at worst; with few calls at once it is not met.
 */
export interface Event<State> {
  /** For people: the call and its answer. */
  readonly label: string;
  /** Moments on one clock; equal ones overlap. */
  readonly start: number;
  readonly end: number;
  /** Must take effect after that event (an index), when a call takes effect in more than one moment. */
  readonly after?: number | undefined;
  /** The states that may follow when it takes effect in `state`; none when it cannot, with that answer. */
  readonly next: (state: State) => readonly State[];
}

export type Verdict =
  | { readonly ok: true }
  /** The longest order that was found, and the calls of which one should have come next. */
  | { readonly ok: false; readonly explained: readonly string[]; readonly stuck: readonly string[] };

interface Node<State> {
  readonly state: State;
  /** Indices of the events that have taken effect. */
  readonly done: ReadonlySet<number>;
  readonly order: readonly number[];
}

/** @param keyOf tells states apart. */
export function findOrder<State>(
  events: readonly Event<State>[],
  initial: State,
  keyOf: (state: State) => string,
): Verdict {
  const byStart = events.map((_, index) => index).sort((a, b) => startOf(events, a) - startOf(events, b));
  const tried = new Set<string>();
  const open: Node<State>[] = [{ state: initial, done: new Set(), order: [] }];
  let best: { order: readonly number[]; candidates: readonly number[] } = { order: [], candidates: [] };
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.done.size === events.length) return { ok: true };
    const candidates = mayComeNext(events, byStart, node.done);
    if (node.order.length >= best.order.length) best = { order: node.order, candidates };
    for (const index of candidates.toReversed()) {
      const done = new Set(node.done).add(index);
      for (const state of events[index]?.next(node.state) ?? []) {
        const key = `${keyOf(state)} ${describeSet(byStart, done)}`;
        if (tried.has(key)) continue;
        tried.add(key);
        open.push({ state, done, order: [...node.order, index] });
      }
    }
  }
  const label = (index: number): string => events[index]?.label ?? '';
  return { ok: false, explained: best.order.map(label), stuck: best.candidates.map(label) };
}

const startOf = <State>(events: readonly Event<State>[], index: number): number => events[index]?.start ?? 0;

/** Those that began before every other one that is left has ended. */
function mayComeNext<State>(
  events: readonly Event<State>[],
  byStart: readonly number[],
  done: ReadonlySet<number>,
): number[] {
  const found: number[] = [];
  let firstEnd = Infinity;
  for (const index of byStart) {
    const event = events[index];
    if (event === undefined || done.has(index)) continue;
    if (event.start > firstEnd) break;
    firstEnd = Math.min(firstEnd, event.end);
    found.push(index);
  }
  return found.filter((index) => {
    const event = events[index];
    if (event === undefined || event.start > firstEnd) return false;
    return event.after === undefined || done.has(event.after);
  });
}

/** Short, since all but the last few in the order of their starts are in it. */
function describeSet(byStart: readonly number[], done: ReadonlySet<number>): string {
  const first = byStart.findIndex((index) => !done.has(index));
  if (first === -1) return 'all';
  const later = byStart.slice(first).filter((index) => done.has(index));
  return `${first}:${later.join(',')}`;
}

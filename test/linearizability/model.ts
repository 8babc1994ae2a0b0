/**
 * The snapshotter as a thing that does one call at a time, for the checker. Written from the contract, not from the code.
 *
 * Keys are not independent: a parent may not go while it has children, a commit moves a snapshot from one key to another.
 * So the state is that of all keys together, and histories have few of them.
 *
 * Prepare and View take effect in two moments: from the first the key is taken and the parent held, from the second the
 * snapshot can be seen. That is wanted: a parent must not be removed while a child is being made of it, and nobody may be
 * shown what is not there yet. All others take effect in one moment. List is one look as long as it is one page.
 */
import type { ErrorCode } from '../../src/base/errors.ts';
import type { Event } from './checker.ts';

/** `reserved`: the first moment of the Prepare or View number `by` has been, the second not yet. */
export interface Entry {
  readonly is: 'reserved' | 'active' | 'view' | 'committed';
  /** Of a reserved one: what it will be. */
  readonly will?: 'active' | 'view';
  /** The parent's name, '' for none: it cannot change while there are children. */
  readonly parent: string;
  /** The value of the one label. */
  readonly label: string;
  readonly by?: number;
}
export type State = Readonly<Record<string, Entry>>;

export interface Creation {
  readonly op: 'prepare' | 'view';
  readonly key: string;
  /** '' for none. */
  readonly parent: string;
  readonly label: string;
}

export type Call =
  | Creation
  | { readonly op: 'commit'; readonly name: string; readonly key: string; readonly label: string }
  | { readonly op: 'update'; readonly key: string; readonly label: string }
  | { readonly op: 'remove' | 'stat' | 'mounts' | 'usage'; readonly key: string }
  | { readonly op: 'list' };

/**
 * `unknown`: nobody was there to hear the answer. `saw` is what Stat, Update and List showed, in the words of
 * {@link describeEntry} and {@link describeAll}.
 */
export type Answer =
  | { readonly is: 'ok'; readonly saw?: string }
  | { readonly is: 'refused'; readonly code: ErrorCode }
  | { readonly is: 'unknown' };

export interface Observed {
  readonly call: Call;
  readonly answer: Answer;
  readonly start: number;
  /** Of an answer nobody heard: when the daemon had surely ended the call. */
  readonly end: number;
}

export const keyOf = (state: State): string => JSON.stringify(Object.entries(state).toSorted());

export const describeEntry = ({ is, parent, label }: Entry): string => `${is} of "${parent}" with "${label}"`;

export const describeAll = (all: readonly (readonly [key: string, entry: Entry])[]): string =>
  all
    .map(([key, entry]) => `${key} ${describeEntry(entry)}`)
    .toSorted()
    .join('; ');

export function toEvents(history: readonly Observed[]): Event<State>[] {
  const events: Event<State>[] = [];
  for (const observed of history) {
    const { call, answer, start, end } = observed;
    const label = `[${start}-${end}] ${JSON.stringify(call)} -> ${JSON.stringify(answer)}`;
    const isMade = (call.op === 'prepare' || call.op === 'view') && answer.is !== 'refused';
    if (!isMade) {
      events.push({ label, start, end, next: (state) => inOneMoment(state, call, answer) });
      continue;
    }
    const by = events.length;
    const unknown = answer.is === 'unknown';
    events.push(
      { label, start, end, next: (state) => reserve(state, call, by, unknown) },
      {
        label: `${label}, visible`,
        start,
        end,
        after: by,
        next: (state) => show(state, call.key, by, unknown),
      },
    );
  }
  return events;
}

function reserve(state: State, { op, key, parent, label }: Creation, by: number, unknown: boolean): State[] {
  const possible = creationRefusals(state, key, parent).length === 0;
  const will = op === 'prepare' ? 'active' : 'view';
  const reserved = { ...state, [key]: { is: 'reserved', will, parent, label, by } as const };
  return [...(possible ? [reserved] : []), ...(unknown ? [state] : [])];
}

function show(state: State, key: string, by: number, unknown: boolean): State[] {
  const entry = state[key];
  if (entry?.by !== by) return unknown ? [state] : [];
  const { will = 'active', parent, label } = entry;
  const shown = { ...state, [key]: { is: will, parent, label } };
  return unknown ? [shown, without(state, key)] : [shown];
}

function inOneMoment(state: State, call: Call, answer: Answer): State[] {
  const refusals = refusalsOf(state, call);
  if (answer.is === 'refused') {
    const cancelled = answer.code === 'cancelled' || answer.code === 'deadline_exceeded';
    return cancelled || refusals.includes(answer.code) ? [state] : [];
  }
  const after = refusals.length === 0 ? [effectOf(state, call)] : [];
  if (answer.is === 'unknown') return [...after, state];
  return after.filter((next) => answer.saw === undefined || answer.saw === sight(next, call));
}

/** Every refusal that the contract allows in this state; none when the call must succeed. */
function refusalsOf(state: State, call: Call): ErrorCode[] {
  if (call.op === 'list') return [];
  const entry = visible(state, call.key);
  switch (call.op) {
    case 'prepare':
    case 'view':
      return creationRefusals(state, call.key, call.parent);
    case 'commit': {
      if (entry === undefined) return ['not_found'];
      const codes: ErrorCode[] = entry.is === 'active' ? [] : ['failed_precondition'];
      if (state[call.name] !== undefined) codes.push('already_exists');
      return codes;
    }
    case 'remove':
      if (entry === undefined) return ['not_found'];
      return Object.values(state).some(({ parent }) => parent === call.key) ? ['failed_precondition'] : [];
    case 'mounts':
      if (entry === undefined) return ['not_found'];
      return entry.is === 'committed' ? ['failed_precondition'] : [];
    case 'stat':
    case 'usage':
    case 'update':
      return entry === undefined ? ['not_found'] : [];
    default:
      return call satisfies never;
  }
}

function creationRefusals(state: State, key: string, parent: string): ErrorCode[] {
  const codes: ErrorCode[] = state[key] === undefined ? [] : ['already_exists'];
  if (parent === '') return codes;
  const entry = visible(state, parent);
  if (entry === undefined) codes.push('not_found');
  else if (entry.is !== 'committed') codes.push('invalid_argument');
  return codes;
}

function effectOf(state: State, call: Call): State {
  switch (call.op) {
    case 'commit': {
      const entry = state[call.key];
      const { parent } = entry ?? { parent: '' };
      return {
        ...without(state, call.key),
        [call.name]: { is: 'committed', parent, label: call.label },
      };
    }
    case 'update': {
      const entry = state[call.key];
      return entry === undefined ? state : { ...state, [call.key]: { ...entry, label: call.label } };
    }
    case 'remove':
      return without(state, call.key);
    case 'prepare':
    case 'view':
    case 'stat':
    case 'mounts':
    case 'usage':
    case 'list':
      return state;
    default:
      return call satisfies never;
  }
}

function sight(state: State, call: Call): string {
  if (call.op === 'list') return describeAll(Object.entries(state).filter(([, { is }]) => is !== 'reserved'));
  const entry = visible(state, call.key);
  return entry === undefined ? '' : describeEntry(entry);
}

function visible(state: State, key: string): Entry | undefined {
  const entry = state[key];
  return entry?.is === 'reserved' ? undefined : entry;
}

function without(state: State, key: string): State {
  return Object.fromEntries(Object.entries(state).filter(([other]) => other !== key));
}

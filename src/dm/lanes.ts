/** Bounds how many bodies run at once; the others wait their turn, first come, first served. */
export interface Lanes {
  run<T>(body: () => Promise<T>): Promise<T>;
  /** Resolves when nothing runs or waits. */
  idle(): Promise<void>;
}

/** INVARIANT: `free` + bodies running = `count`; somebody waits only while `free` is 0. */
export function createLanes(count: number): Lanes {
  let free = count;
  const waiting: (() => void)[] = [];
  let idle: PromiseWithResolvers<void> | undefined;

  const leave = (): void => {
    const next = waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    free += 1;
    if (free === count) {
      idle?.resolve();
      idle = undefined;
    }
  };

  return {
    async run(body) {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await body();
      } finally {
        leave();
      }
    },
    idle() {
      if (free === count) return Promise.resolve();
      idle ??= Promise.withResolvers();
      return idle.promise;
    },
  };
}

/**
 * A kind of call to device-mapper: `ask` changes nothing; `wait` ends only with the I/O in flight, as suspends that flush
 * do; `change` is all others.
 *
 * The I/O that a call waits for may be held back until a later call: a suspended pool is resumed, a full one grown by load,
 * suspend without a flush, and resume. So each kind has lanes of its own: those that wait keep nobody from setting them free.
 */
export type LaneKind = 'ask' | 'change' | 'wait';

export type LaneSet = Readonly<Record<LaneKind, Lanes>>;

/** @param total how many calls may run at once; three at least. */
export function createLaneSet(total: number): LaneSet {
  const ask = Math.max(1, Math.floor(total / 4));
  const wait = Math.max(1, Math.floor((total - ask) / 2));
  return {
    ask: createLanes(ask),
    wait: createLanes(wait),
    change: createLanes(Math.max(1, total - ask - wait)),
  };
}

/** Resolves when no lane of the set is in use. */
export async function allIdle(set: LaneSet): Promise<void> {
  await Promise.all([set.ask.idle(), set.wait.idle(), set.change.idle()]);
}

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

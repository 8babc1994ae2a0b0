/**
 * A lock per key, fair (first come, first served).
 *
 * INVARIANT: a key is in the map exactly while somebody holds or awaits it, so an idle mutex holds no memory.
 */
export interface KeyedMutex {
  /** Runs `body` while no other body of the same key runs; the lock is given back however `body` ends. */
  run<T>(key: string, body: () => Promise<T>): Promise<T>;
  /** The same for several keys at once; taken in one order everywhere, so that no two callers wait for each other. */
  runAll<T>(keys: readonly string[], body: () => Promise<T>): Promise<T>;
  /** Number of keys held or awaited. */
  readonly size: number;
}

export function createKeyedMutex(): KeyedMutex {
  const tails = new Map<string, Promise<void>>();

  async function run<T>(key: string, body: () => Promise<T>): Promise<T> {
    const before = tails.get(key);
    let done = (): void => undefined;
    const mine = new Promise<void>((resolve) => (done = resolve));
    tails.set(key, mine);
    try {
      await before;
      return await body();
    } finally {
      if (tails.get(key) === mine) tails.delete(key);
      done();
    }
  }

  return {
    run,
    runAll: (keys, body) =>
      [...new Set(keys)].sort().reduceRight((inner, key) => () => run(key, inner), body)(),
    get size() {
      return tails.size;
    },
  };
}

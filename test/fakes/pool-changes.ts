/** {@link PoolChanges} in memory, of one machine. */
import type { DmName } from '../../src/base/units.ts';
import type { PoolChanges } from '../../src/pool/pool-changes.ts';

export function createFakePoolChanges(): PoolChanges {
  const marks = new Map<DmName, readonly DmName[]>();
  return {
    lock: () => ({ release: () => undefined }),
    underWay: (pool) => Promise.resolve(marks.get(pool) ?? []),
    begin: (pool, devices) => Promise.resolve(void marks.set(pool, devices)),
    end: (pool) => Promise.resolve(void marks.delete(pool)),
  };
}

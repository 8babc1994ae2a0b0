/**
 * Whether store and pool are of the same age. Each start and each clean end of the daemon moves the transaction id of a pool
 * that dmthin made, and the store keeps what it must be: a store from a backup, or a pool from one, shows.
 *
 * INVARIANTS
 * - The store knows both the id before and the one after before the pool is told: dying in between is no difference.
 * - Where they differ, no device is deleted for what the store says of unfinished work: a `creating` of the past may be an
 *   image by now. Its id is kept as a stranger's, and so are all that the store does not know.
 * - The transaction id of a pool that somebody else made, such as LVM, is neither read nor written.
 */
import { toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import type { Store } from '../store/store.ts';
import { poolUuid } from './names.ts';
import type { PoolView } from './thin-pool.ts';

export interface Generation {
  /** Compares, and moves on at the first call; before recovery. @throws what the pool answers. */
  check(view: PoolView): Promise<void>;
  /** Moves on at the daemon's end, so that a copy of the store from before it is known to be older. Never throws. */
  end(): Promise<void>;
}

export interface GenerationOptions {
  readonly store: Store;
  readonly dm: DmClient;
  readonly poolName: DmName;
  readonly log: Log;
}

const MAX_TRANSACTION_ID = 2n ** 64n - 1n;

export function createGeneration({ store, dm, poolName, log }: GenerationOptions): Generation {
  /** The pool's transaction id as this daemon has set it. */
  let current: bigint | undefined;

  async function moveOn(from: bigint): Promise<void> {
    const to = from === MAX_TRANSACTION_ID ? 0n : from + 1n;
    await store.transaction('generation', (tx) => tx.setGeneration({ before: `${from}`, after: `${to}` }));
    await dm.message(poolName, `set_transaction_id ${from} ${to}`);
    current = to;
  }

  return {
    async check({ status: { transactionId } }) {
      if ((await dm.info(poolName))?.uuid !== poolUuid(poolName)) return;
      const { generation } = store.meta();
      if (generation !== null && ![generation.before, generation.after].includes(`${transactionId}`)) {
        const kept = await store.transaction('generation: differs', (tx) => tx.keepUnfinished());
        log.error(
          {
            pool: poolName,
            expected: generation.after,
            found: `${transactionId}`,
            keptDeviceIds: kept,
            nextStep: 'dmthin check compares them, device by device',
          },
          `the store at ${store.rootPath} and the pool are not of the same age: one of them is from a backup, or another daemon has used the pool. No device is deleted for what the store left unfinished`,
        );
        await moveOn(transactionId);
      } else if (current === undefined) await moveOn(transactionId);
    },
    async end() {
      if (current === undefined) return;
      try {
        await moveOn(current);
      } catch (error) {
        log.warn(
          { pool: poolName, error: toDmthinError(error, 'end') },
          'cannot mark the end of this run in the pool',
        );
      }
    },
  };
}

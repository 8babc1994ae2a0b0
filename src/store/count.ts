/** What a store says about a pool, asked by somebody who is not the daemon. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openStore, STORE_FILE } from './store.ts';

/**
 * Number of snapshots, of every state, that the store at `rootPath` has on pool `poolName`; 0 when it is another pool's.
 * @returns undefined when there is no store. @throws locked while a daemon has it.
 */
export async function countSnapshotsOfPool(rootPath: string, poolName: string): Promise<number | undefined> {
  if (!existsSync(join(rootPath, STORE_FILE))) return undefined;
  const store = await openStore({ rootPath });
  try {
    if (store.meta().poolName !== poolName) return 0;
    const all = store.allSnapshots();
    let count = 0;
    while (all.next().done !== true) count += 1;
    return count;
  } finally {
    await store.close();
  }
}

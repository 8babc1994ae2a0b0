/** What a store says about a pool, asked by somebody who is not the daemon. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openStore, STORE_FILE } from './store.ts';

const PAGE = 500;

/**
 * Number of snapshots, of every state, that the store at `rootPath` has on pool `poolName`; 0 when it is another pool's.
 * @returns undefined when there is no store. @throws locked while a daemon has it.
 */
export async function countSnapshotsOfPool(rootPath: string, poolName: string): Promise<number | undefined> {
  if (!existsSync(join(rootPath, STORE_FILE))) return undefined;
  const store = await openStore({ rootPath });
  try {
    if (store.meta().poolName !== poolName) return 0;
    let count = 0;
    for (let afterId = 0; ;) {
      const page = store.snapshotsAfter(afterId, PAGE);
      const last = page.at(-1);
      if (last === undefined) return count;
      count += page.length;
      afterId = last.id;
    }
  } finally {
    await store.close();
  }
}

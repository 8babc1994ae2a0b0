/** The store's tables as another process sees them, read beside the daemon that has them open. */
import { join } from 'node:path';
import { open } from 'lmdb';
import type { DeviceOwner } from '../../src/store/records.ts';
import { createReader } from '../../src/store/reader.ts';
import type { BaseRecord, SnapshotRecord } from '../../src/store/records.ts';
import { STORE_FILE } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';
import type { DeviceId } from '../../src/base/units.ts';

export interface StoreContents {
  readonly storeId: string;
  readonly snapshots: readonly SnapshotRecord[];
  readonly bases: readonly BaseRecord[];
  /** Device ids that the store has given out, and to whom. */
  readonly owners: ReadonlyMap<number, DeviceOwner | undefined>;
}

export async function readStore(rootPath: string): Promise<StoreContents> {
  const environment = open({ path: join(rootPath, STORE_FILE), noSubdir: true, maxDbs: 16, readOnly: true });
  try {
    const tables = openTables(environment);
    const reader = createReader(tables);
    const ids = [...tables.devices.getKeys()];
    return {
      storeId: reader.meta().storeId,
      snapshots: [...reader.allSnapshots()],
      bases: reader.bases(),
      owners: new Map(ids.map((id) => [id, reader.deviceOwner(id as DeviceId)])),
    };
  } finally {
    await environment.close();
  }
}

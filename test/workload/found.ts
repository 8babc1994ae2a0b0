/** What is there after a crash, asked of the daemon, of its store, of the pool and of the kernel. */
import { join } from 'node:path';
import { open } from 'lmdb';
import { runProcess } from '../../src/base/process.ts';
import type { DmName } from '../../src/base/units.ts';
import type { DmClient } from '../../src/dm/client.ts';
import type { SnapshotsClient } from '../../src/grpc/client.ts';
import { snapshotDeviceName } from '../../src/pool/names.ts';
import { createListPoolDevices } from '../../src/pool/pool-devices.ts';
import type { SnapshotInfo } from '../../src/snapshotter/snapshotter.ts';
import { createReader } from '../../src/store/reader.ts';
import { STORE_FILE } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';
import { differenceOf, readFiles } from './files.ts';
import type { Model } from './model.ts';
import { withMount } from './mount-calls.ts';

export async function listAll(client: SnapshotsClient): Promise<Map<string, SnapshotInfo>> {
  const found = new Map<string, SnapshotInfo>();
  for await (const page of client.list()) for (const info of page) found.set(info.name, info);
  return found;
}

/** Reads the contents of everything in the model through the daemon, as its clients do. @returns what differs. */
export async function compareContents(client: SnapshotsClient, model: Model): Promise<string[]> {
  const problems: string[] = [];
  for (const [key, { kind, files, unsure }] of model.snapshots) {
    const look = 'look';
    const mounts = kind === 'committed' ? await client.view(look, key) : await client.mounts(key);
    const difference = differenceOf(files, await withMount(mounts, readFiles), unsure);
    if (difference !== undefined) problems.push(`${key} (${kind}): ${difference}`);
    if (kind === 'committed') await client.remove(look);
  }
  return problems;
}

export interface Devices {
  readonly rootPath: string;
  readonly poolName: DmName;
  readonly dm: DmClient;
}

/**
 * Holds the store's records against the pool's list of devices (thin_ls) and against the kernel's active ones. The daemon may
 * run, but nobody may ask it for changes meanwhile.
 */
export async function compareDevices({ rootPath, poolName, dm }: Devices): Promise<string[]> {
  const { ids, names, unfinished } = await readStore(rootPath, poolName);
  const inPool = await createListPoolDevices({ dm, run: runProcess, poolName })();
  const problems = [
    ...unfinished,
    ...without(inPool, ids).map((id) => `the pool has device ${id}, of which the store knows nothing`),
    ...without(ids, inPool).map((id) => `the store names device ${id}, which the pool does not have`),
  ];
  const active = (await dm.list()).map(({ name }) => name).filter((name) => name.startsWith(`${poolName}-`));
  problems.push(
    ...without(active, names).map((name) => `${name} is active for nothing`),
    ...without(names, active).map((name) => `${name} is not active`),
  );
  for (const name of [poolName, ...active]) {
    if ((await dm.info(name))?.suspended !== false) problems.push(`${name} is suspended or gone`);
  }
  return problems;
}

/** Reads the database beside the daemon, which LMDB allows. */
async function readStore(rootPath: string, poolName: DmName) {
  const environment = open({ path: join(rootPath, STORE_FILE), noSubdir: true, maxDbs: 16, readOnly: true });
  try {
    const reader = createReader(openTables(environment));
    const snapshots = [...reader.allSnapshots()];
    return {
      ids: [...snapshots, ...reader.bases()].map(({ deviceId }) => deviceId),
      names: snapshots
        .filter(({ state }) => state === 'active')
        .map(({ deviceId }) => snapshotDeviceName(poolName, deviceId)),
      unfinished: [...snapshots, ...reader.bases()]
        .filter(({ state }) => state === 'creating' || state === 'removing')
        .map(({ key, state }) => `${key} is still ${state}`),
    };
  } finally {
    await environment.close();
  }
}

function without<T>(these: readonly T[], those: readonly T[]): T[] {
  const known = new Set(those);
  return these.filter((one) => !known.has(one));
}

/** Reads what a check compares: the pool's own list first, then the store, so that whatever is listed had its record by then. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../base/errors.ts';
import { forEachLimit } from '../base/for-each-limit.ts';
import type { KeyedMutex } from '../base/keyed-mutex.ts';
import type { DeviceId, DmName } from '../base/units.ts';
import type { DmClient, DmInfo, DmLine } from '../dm/client.ts';
import type { DeviceNodes } from '../dm/device-nodes.ts';
import { parsePoolStatus } from '../dm/status.ts';
import { parseThinTable } from '../dm/tables.ts';
import type { StrayMount } from '../filesystem/temporary-mount.ts';
import { poolMissing } from '../pool/health.ts';
import { METADATA_SNAPSHOT_LOCK } from '../pool/locks.ts';
import { parseDeviceName } from '../pool/names.ts';
import type { ListPoolDevices } from '../pool/pool-devices.ts';
import type { SnapshotRecord } from '../store/records.ts';
import type { StoreReader } from '../store/store.ts';
import type { DeviceFact, Facts, PoolFact } from './facts.ts';

export interface ReadFactsOptions {
  readonly store: StoreReader;
  readonly dm: DmClient;
  readonly nodes: Pick<DeviceNodes, 'entries'>;
  readonly locks: KeyedMutex;
  readonly poolName: DmName;
  readonly listPoolDevices: ListPoolDevices;
  readonly listMounts: () => Promise<StrayMount[]>;
  /** Whether a daemon is at work, or only a command that opened the store. */
  readonly serving: boolean;
}

/** A check may take its time; the calls that are served meanwhile may not wait for it. */
const AT_ONCE = 2;
const PAGE = 100;
/** Operations suspend devices for a moment: only one that stays so is told. */
const SUSPENDED_LOOKS = 5;
const SUSPENDED_PAUSE_MS = 100;

/** @throws unavailable when there is no pool; unsupported when thin_ls is missing. */
export async function readFacts(options: ReadFactsOptions): Promise<Facts> {
  const { store, dm, nodes, poolName, serving } = options;
  const { pool, poolIds } = await options.locks.run(METADATA_SNAPSHOT_LOCK, async () => {
    const found = await readPool(dm, poolName);
    return { pool: found, poolIds: canBeListed(found) ? await options.listPoolDevices() : undefined };
  });
  const devices = new Map<string, DeviceFact>();
  const ours = (await dm.list()).filter(({ name }) => parseDeviceName(poolName, name) !== undefined);
  await forEachLimit(ours, AT_ONCE, async ({ name }) => {
    const device = await readDevice(dm, name);
    if (device !== undefined) devices.set(name, device);
  });
  const entries = (await nodes.entries(`${poolName}-`)).filter(
    ({ name }) => parseDeviceName(poolName, name) !== undefined,
  );
  return {
    storeId: store.meta().storeId,
    pool,
    poolIds: poolIds === undefined ? undefined : new Set<DeviceId>(poolIds),
    devices,
    entries: new Map(entries.map((entry) => [entry.name, entry])),
    mounts: await options.listMounts(),
    snapshots: await readSnapshots(store),
    bases: store.bases(),
    ownerOf: (id) => store.deviceOwner(id),
    serving,
  };
}

/** All of them, with a turn of the event loop after each page. */
async function readSnapshots(store: StoreReader): Promise<SnapshotRecord[]> {
  const all: SnapshotRecord[] = [];
  for (;;) {
    const page = store.snapshotsAfter(all.at(-1)?.id ?? 0, PAGE);
    if (page.length === 0) return all;
    all.push(...page);
    await nextTurn();
  }
}

/** A pool that may not be changed takes no metadata snapshot, and there is only one of them. */
function canBeListed({ status, suspended }: PoolFact): boolean {
  return (
    status.kind === 'ok' &&
    status.mode !== 'ro' &&
    !status.needsCheck &&
    status.heldRoot === undefined &&
    !suspended
  );
}

async function readPool(dm: DmClient, name: DmName): Promise<PoolFact> {
  const info = await settledInfo(dm, name);
  if (info === undefined) throw poolMissing('check', name);
  const status = parsePoolStatus(name, await dm.status(name));
  return { name, device: `${info.major}:${info.minor}`, suspended: info.suspended, status };
}

async function readDevice(dm: DmClient, name: DmName): Promise<DeviceFact | undefined> {
  const info = await settledInfo(dm, name);
  if (info === undefined) return undefined;
  if (!info.live) return { info, table: 'none' };
  try {
    const lines = await dm.table(name);
    if (isUntold(lines)) return { info, table: 'untold' };
    return { info, table: parseThinTable(name, lines) };
  } catch (error) {
    if (hasCode(error, 'not_found')) return undefined;
    if (hasCode(error, 'failed_precondition')) return { info, table: 'other' };
    throw error;
  }
}

/** A thin device of a failed pool answers so for its table too (kernel, drivers/md/dm-thin.c, thin_status). */
function isUntold(lines: readonly DmLine[]): boolean {
  return lines.length === 1 && lines[0]?.target === 'thin' && lines[0].params.trim() === 'Fail';
}

/** What the device is once nobody suspends it for a moment any more. */
async function settledInfo(dm: DmClient, name: DmName): Promise<DmInfo | undefined> {
  let info = await dm.info(name);
  for (let look = 1; look < SUSPENDED_LOOKS && info?.suspended === true; look += 1) {
    await sleep(SUSPENDED_PAUSE_MS);
    info = await dm.info(name);
  }
  return info;
}

/** What the tests of the device-mapper contract share: names, pools, and what every error must say. */
import assert from 'node:assert/strict';
import { DmthinError, type ErrorCode } from '../../src/base/errors.ts';
import { deviceId, type DmName, dmName, type Sectors, sectors } from '../../src/base/units.ts';
import { type DmClient, devicePath, type DmInfo, type DmLine } from '../../src/dm/client.ts';
import { type HealthyPoolStatus, parsePoolStatus } from '../../src/dm/status.ts';
import { type PoolFeature, poolTable, thinTable } from '../../src/dm/tables.ts';

/** What a transport's test provides. */
export interface DmHarness {
  readonly client: DmClient;
  /** Two devices for a new pool: metadata of 4 MiB whose first block is zero, data of 64 MiB. */
  readonly freshPoolDevices: () => Promise<{ readonly metadataDevice: string; readonly dataDevice: string }>;
  /** How much the tests with many devices and callers ask of a transport: a slow one gets less. */
  readonly many: { readonly devices: number; readonly callers: number };
  /** Opens the device as a mount would. @returns closes it. */
  readonly hold: (name: DmName) => Promise<() => Promise<void>>;
  readonly close: () => Promise<void>;
}

export const PREFIX = 'dmthin-contract-';
export const BLOCK = sectors(128);
export const SMALL_POOL = sectors(65_536);
export const GROWN_POOL = sectors(131_072);
export const THIN = sectors(20_480);

export const nameOf = (suffix: string): DmName => dmName(`${PREFIX}${suffix}`);

/** A target that every kernel has and that needs no other device. */
export const errorLine = (length: number, start = 0): DmLine => ({
  start: sectors(start),
  length: sectors(length),
  target: 'error',
  params: '',
});

export interface TestPool {
  readonly name: DmName;
  /** The pool's table at another length or with other features. */
  readonly table: (length: Sectors, features?: readonly PoolFeature[]) => DmLine;
}

export async function makePool({ client, freshPoolDevices }: DmHarness): Promise<TestPool> {
  const name = nameOf('pool');
  const devices = await freshPoolDevices();
  const table: TestPool['table'] = (length, features = []) =>
    poolTable({ ...devices, length, blockSectors: BLOCK, lowWaterBlocks: 4, features });
  await client.create(name, { uuid: '', table: [table(SMALL_POOL)] });
  return { name, table };
}

/** Activates the thin device `id` of `pool`. */
export function activateThin(dm: DmClient, pool: DmName, suffix: string, id: number): Promise<DmInfo> {
  const table = thinTable({ length: THIN, poolDevice: devicePath(pool), deviceId: deviceId(id) });
  return dm.create(nameOf(suffix), { uuid: '', table: [table] });
}

export async function healthyStatus(dm: DmClient, pool: DmName): Promise<HealthyPoolStatus> {
  const status = parsePoolStatus(pool, await dm.status(pool));
  assert.ok(status.kind === 'ok', status.raw);
  return status;
}

/** Asserts the code and the errno together with what every error must say. */
export async function rejects(
  action: Promise<unknown>,
  code: ErrorCode,
  errno: string,
  device: DmName,
): Promise<void> {
  const error: unknown = await action.then(
    () => assert.fail(`expected ${code} (${errno})`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof DmthinError, String(error));
  assert.deepEqual([error.code, error.detail.errno], [code, errno], error.message);
  assert.equal(error.detail.device, device);
  assert.notEqual(error.detail.op, '');
  assert.notEqual(error.detail.what, '');
}

/** Removes every device of the contract's tests; thins before their pool. */
export async function removeAll(dm: DmClient): Promise<void> {
  const names = (await dm.list()).map(({ name }) => name).filter((name) => name.startsWith(PREFIX));
  const pool = nameOf('pool');
  await Promise.all(names.filter((name) => name !== pool).map((name) => dm.remove(name)));
  if (names.includes(pool)) await dm.remove(pool);
}

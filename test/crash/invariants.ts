/** What must be true after every crash, once the next daemon serves. Each broken promise is one line. */
import { toDmthinError } from '../../src/base/errors.ts';
import { bytesToSectors, type DmName, dmName, type DeviceId } from '../../src/base/units.ts';
import { devicePath } from '../../src/dm/client.ts';
import { thinTable } from '../../src/dm/tables.ts';
import { deviceUuid, snapshotDeviceName } from '../../src/pool/names.ts';
import { createPoolChanges } from '../../src/pool/pool-changes.ts';
import { isVisible, type SnapshotRecord } from '../../src/store/records.ts';
import { readLoops, readMapperEntries, readMounts, readTemporaryMountPoints } from './machine-state.ts';
import { readStore, type StoreContents } from './read-store.ts';
import { digestDevice, type World } from './world.ts';

/** Called while nothing is under way. @param rootPath of the daemon that serves now. */
export async function findProblems(world: World, rootPath: string): Promise<string[]> {
  const store = await readStore(rootPath);
  return [
    ...(await comparePool(world, store)),
    ...(await compareDevices(world, store)),
    ...(await compareMachine(world)),
    ...(await compareContents(world, store)),
  ];
}

/** Store and pool have the same devices; every id that was given out has an owner who has it. */
async function comparePool(world: World, { snapshots, bases, owners }: StoreContents): Promise<string[]> {
  const inPool = new Set<number>(await world.listPoolDevices());
  const problems: string[] = [];
  const known = new Map<number, string>();
  for (const { deviceId, state, key } of [...snapshots, ...bases]) {
    if (known.has(deviceId)) problems.push(`device ${deviceId} belongs to ${key} and to another record`);
    known.set(deviceId, `${state} ${key}`);
    // A removal that is under way may have deleted its device already.
    if (state !== 'removing' && !inPool.has(deviceId))
      problems.push(`device ${deviceId} of ${state} ${key} is not in the pool`);
    if (state === 'creating') problems.push(`${key} is still being created`);
  }
  for (const id of inPool)
    if (!known.has(id)) problems.push(`device ${id} is in the pool, and no record has it`);
  for (const [id, owner] of owners) {
    if (!known.has(id))
      problems.push(`id ${id} is given out (${owner?.kind ?? 'to nobody'}), and no record has it`);
    else if (owner?.kind === 'foreign')
      problems.push(`id ${id} of ${known.get(id) ?? ''} is marked as a stranger's`);
  }
  for (const id of known.keys()) if (!owners.has(id)) problems.push(`id ${id} is used, but not given out`);
  const { heldRoot } = await world.node.poolStatus();
  if (heldRoot !== undefined) problems.push('the pool holds a metadata snapshot');
  const pool = await world.dm.info(world.poolName);
  if (pool?.suspended !== false) problems.push('the pool is suspended');
  if (pool?.inactive !== false) problems.push('the pool has a table that waits');
  const changing = await createPoolChanges().underWay(world.poolName);
  if (changing.length > 0) problems.push(`${changing.join(', ')} is noted as being changed`);
  return problems;
}

/** Exactly the active snapshots have a device: live, not suspended, with its entry in /dev/mapper. */
async function compareDevices(world: World, { storeId, snapshots }: StoreContents): Promise<string[]> {
  const { dm, poolName } = world;
  const prefix = `${poolName}-`;
  const wanted = new Map<string, DeviceId>(
    snapshots
      .filter(({ state }) => state === 'active')
      .map(({ deviceId }) => [snapshotDeviceName(poolName, deviceId), deviceId]),
  );
  const present = (await dm.list()).map(({ name }) => name).filter((name) => name.startsWith(prefix));
  const problems = [...wanted.keys()]
    .filter((name) => !present.includes(dmName(name)))
    .map((name) => `${name} is not active`);
  for (const name of present) {
    const id = wanted.get(name);
    const info = await dm.info(name);
    if (id === undefined) problems.push(`${name} is active, and should not be`);
    if (info?.live !== true) problems.push(`${name} has no live table`);
    if (info?.suspended === true) problems.push(`${name} is suspended`);
    if (info?.deferredRemove === true) problems.push(`${name} goes at its last close`);
    if (id !== undefined && info?.uuid !== deviceUuid(storeId, id))
      problems.push(`${name} has uuid ${info?.uuid ?? ''}`);
  }
  const entries = await readMapperEntries(prefix);
  for (const entry of entries)
    if (!present.includes(dmName(entry))) problems.push(`/dev/mapper/${entry} leads nowhere`);
  for (const name of present) if (!entries.includes(name)) problems.push(`/dev/mapper/${name} is missing`);
  return problems;
}

async function compareMachine(world: World): Promise<string[]> {
  const problems: string[] = [];
  for (const { source, directory } of await readMounts()) {
    const ours = source.includes(world.poolName) || directory.includes('dmthin-');
    if (ours && !world.mounted.has(directory)) problems.push(`${source} is mounted on ${directory}`);
  }
  for (const name of await readTemporaryMountPoints(world.config().rootPath)) {
    problems.push(`the state directory has the mount point ${name}`);
  }
  const expected = new Set(world.poolFiles);
  for (const loop of await readLoops()) {
    const file = loop.slice(loop.indexOf(' ') + 1);
    if (!world.loops.includes(loop) && !expected.delete(file)) problems.push(`loop device ${loop}`);
  }
  return problems;
}

/** What was committed is there, bit for bit. */
async function compareContents(world: World, { snapshots }: StoreContents): Promise<string[]> {
  const problems: string[] = [];
  for (const [key, { digest, mayBeGone }] of world.contents) {
    const record = snapshots.find((one) => isVisible(one) && one.key === key);
    if (record === undefined) {
      if (!mayBeGone) problems.push(`${key} is gone`);
      continue;
    }
    try {
      const found = await digestRecord(world, record);
      if (found !== digest) problems.push(`the contents of ${key} have changed`);
    } catch (error) {
      problems.push(`the contents of ${key} cannot be read: ${toDmthinError(error, 'read').message}`);
    }
  }
  return problems;
}

/** Reads the device behind dmthin's back, under a name that is not dmthin's. */
export async function digestRecord(
  world: World,
  { deviceId, sizeBytes, state }: SnapshotRecord,
): Promise<string> {
  const { dm, poolName } = world;
  if (state === 'active') return digestDevice(devicePath(snapshotDeviceName(poolName, deviceId)));
  const pool = await dm.info(poolName);
  if (pool === undefined) throw new Error('the pool is gone');
  const name: DmName = dmName(`read-${poolName}-${deviceId}`);
  const length = bytesToSectors(sizeBytes);
  await dm.create(name, {
    uuid: '',
    readOnly: true,
    table: [thinTable({ length, poolDevice: `${pool.major}:${pool.minor}`, deviceId })],
  });
  try {
    return await digestDevice(devicePath(name));
  } finally {
    await dm.remove(name);
  }
}

/** Store against pool against kernel, both ways. Pure. */
import { bytesToSectors, formatSize, sectorsToBytes, type DeviceId, type DmName } from '../base/units.ts';
import { baseDeviceName, deviceUuid, parseDeviceName, snapshotDeviceName } from '../pool/names.ts';
import type { BaseRecord, SnapshotRecord } from '../store/records.ts';
import type { DeviceFact, Facts } from './facts.ts';
import type { Finding } from './findings.ts';

/** In the order in which they matter: the pool, then what the store has, then what it does not have. */
export function compare(facts: Facts): Finding[] {
  return [
    ...poolFindings(facts),
    ...facts.snapshots.flatMap((record) => snapshotFindings(facts, record)),
    ...facts.bases.flatMap((base) => baseFindings(facts, base)),
    ...leakedFindings(facts),
    ...strayFindings(facts),
  ];
}

function poolFindings({ pool }: Facts): Finding[] {
  const { status, name } = pool;
  const found: Finding[] = [];
  const add = (kind: Finding['kind'], what: string): void => void found.push({ kind, what, device: name });
  if (pool.suspended) add('pool-suspended', 'the pool is suspended');
  if (status.kind !== 'ok') {
    add('pool-failed', `the pool has failed: ${status.raw}`);
    return found;
  }
  if (status.needsCheck) add('pool-needs-check', `the pool needs a check: ${status.raw}`);
  else if (status.mode === 'ro') add('pool-read-only', `the pool is read-only: ${status.raw}`);
  if (status.heldRoot !== undefined)
    add('metadata-snapshot-held', `a metadata snapshot is held at block ${status.heldRoot}`);
  return found;
}

function snapshotFindings(facts: Facts, record: SnapshotRecord): Finding[] {
  const { key, deviceId } = record;
  const name = snapshotDeviceName(facts.pool.name, deviceId);
  const about = { key, deviceId, device: name };
  const snapshot = `snapshot ${JSON.stringify(key)}`;
  switch (record.state) {
    case 'creating':
      return [{ kind: 'creation-unfinished', what: `${snapshot} is half made`, ...about }];
    case 'removing':
      return facts.serving
        ? []
        : [{ kind: 'removal-unfinished', what: `${snapshot} is half removed`, ...about }];
    case 'active':
    case 'committed':
      break;
    default:
      record satisfies never;
  }
  if (facts.poolIds?.has(deviceId) === false) {
    const what = `${snapshot} is ${record.state}, and the pool has no device ${deviceId}`;
    return [{ kind: 'missing-device', what, ...about }];
  }
  const device = facts.devices.get(name);
  if (record.state === 'committed')
    return device === undefined ? [] : unwanted(facts, name, device, deviceId, key);
  if (device === undefined)
    return [{ kind: 'device-inactive', what: `${snapshot} is active, its device ${name} is not`, ...about }];
  return activeFindings(facts, record, name, device);
}

/** The device of an active snapshot, which is there. */
function activeFindings(
  facts: Facts,
  { key, deviceId, sizeBytes }: SnapshotRecord,
  name: DmName,
  { info, table }: DeviceFact,
): Finding[] {
  const about = { key, deviceId, device: name };
  if (info.uuid !== deviceUuid(facts.storeId, deviceId)) return [nameTaken(name, info.uuid, deviceId, key)];
  if (table === 'none') return [{ kind: 'device-half-made', what: `${name} has no table`, ...about }];
  const found: Finding[] = [];
  if (table === 'untold') return [];
  if (table === 'other' || table.deviceId !== deviceId || table.poolDevice !== facts.pool.device) {
    const leadsTo =
      table === 'other'
        ? 'is no thin device'
        : `leads to device ${table.deviceId} of pool ${table.poolDevice}, not to ${deviceId} of ${facts.pool.device}`;
    found.push({ kind: 'wrong-table', what: `${name} ${leadsTo}`, ...about });
  } else if (table.length !== bytesToSectors(sizeBytes)) {
    const [has, wants] = [sectorsToBytes(table.length), sizeBytes].map(formatSize);
    found.push({
      kind: 'wrong-size',
      what: `${name} has ${has ?? ''}, its snapshot ${wants ?? ''}`,
      ...about,
    });
  }
  if (info.suspended) found.push({ kind: 'device-suspended', what: `${name} is suspended`, ...about });
  const entry = facts.entries.get(name);
  if (entry?.leadsTo !== `${info.major}:${info.minor}` && !info.deferredRemove) {
    const what =
      entry === undefined
        ? `there is no /dev/mapper/${name}`
        : `/dev/mapper/${name} leads to ${entry.leadsTo ?? 'nothing'}`;
    found.push({ kind: 'entry-missing', what, ...about });
  }
  return found;
}

function baseFindings(facts: Facts, base: BaseRecord): Finding[] {
  const { deviceId, state } = base;
  const name = baseDeviceName(facts.pool.name, deviceId);
  const about = { deviceId, device: name };
  if (state !== 'ready')
    return [{ kind: 'creation-unfinished', what: `base device ${deviceId} is ${state}`, ...about }];
  if (facts.poolIds?.has(deviceId) === false)
    return [{ kind: 'missing-device', what: `the pool has no base device ${deviceId}`, ...about }];
  const device = facts.devices.get(name);
  return device === undefined ? [] : unwanted(facts, name, device, deviceId, undefined);
}

/** A device that should not be active, unless it goes at its last close. */
function unwanted(
  facts: Facts,
  name: DmName,
  { info }: DeviceFact,
  deviceId: DeviceId,
  key: string | undefined,
): Finding[] {
  if (info.uuid !== deviceUuid(facts.storeId, deviceId)) return [nameTaken(name, info.uuid, deviceId, key)];
  const about = { key, deviceId, device: name };
  const found: Finding[] = [];
  if (info.suspended) found.push({ kind: 'device-suspended', what: `${name} is suspended`, ...about });
  if (!info.deferredRemove) found.push({ kind: 'device-still-active', what: `${name} is active`, ...about });
  return found;
}

function nameTaken(name: DmName, uuid: string, deviceId: DeviceId, key: string | undefined): Finding {
  const what = `${name} is not ours (uuid ${JSON.stringify(uuid)})`;
  return { kind: 'name-taken', what, key, deviceId, device: name };
}

function leakedFindings({ poolIds, ownerOf }: Facts): Finding[] {
  return [...(poolIds ?? [])]
    .filter((id) => ownerOf(id) === undefined)
    .map((id) => ({
      kind: 'leaked-device',
      what: `the pool has device ${id}, and no record names it`,
      deviceId: id,
    }));
}

function strayFindings({
  pool,
  storeId,
  devices,
  entries,
  mounts,
  snapshots,
  bases,
  serving,
  ownerOf,
}: Facts): Finding[] {
  // Where a removal or an unfinished creation is at work, its devices come and go.
  const judged = new Set<string>([
    ...snapshots.map(({ deviceId }) => snapshotDeviceName(pool.name, deviceId)),
    ...bases.map(({ deviceId }) => baseDeviceName(pool.name, deviceId)),
  ]);
  const atWork = new Set(
    snapshots.filter(({ state }) => serving && state === 'removing').map(({ deviceId }) => deviceId),
  );
  const found: Finding[] = [];
  for (const [name, { info }] of devices) {
    const parsed = parseDeviceName(pool.name, name);
    if (parsed === undefined || judged.has(name) || atWork.has(parsed.id)) continue;
    // Ids that are known not to be ours are left alone, whatever their devices are called.
    if (ownerOf(parsed.id)?.kind === 'foreign') continue;
    const about = { deviceId: parsed.id, device: name };
    if (info.uuid !== deviceUuid(storeId, parsed.id))
      found.push(nameTaken(info.name, info.uuid, parsed.id, undefined));
    else if (!info.deferredRemove)
      found.push({ kind: 'stray-device', what: `${name} is active, and nothing needs it`, ...about });
  }
  for (const { name, leadsTo } of entries.values()) {
    if (devices.has(name)) continue;
    const what = `/dev/mapper/${name} leads to ${leadsTo ?? 'nothing'}, and there is no such device`;
    found.push({ kind: 'stray-entry', what, deviceId: parseDeviceName(pool.name, name)?.id, device: name });
  }
  for (const { directory, source } of mounts) {
    const id = parseDeviceName(pool.name, source.replace(/^.*\//, ''))?.id;
    found.push({
      kind: 'stray-mount',
      what: `${source} is mounted on ${directory}`,
      deviceId: id,
      device: directory,
    });
  }
  return found;
}

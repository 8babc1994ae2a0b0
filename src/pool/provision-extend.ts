/** Grows a live pool, with its snapshots in use. */
import { DmthinError } from '../base/errors.ts';
import { bytesToSectors, type DmName } from '../base/units.ts';
import { METADATA_BLOCK_BYTES, parsePoolStatus } from '../dm/status.ts';
import { linearTable, poolTable } from '../dm/tables.ts';
import { isLvmUuid } from './lvm-names.ts';
import { readBacking } from './provision-backing.ts';
import {
  type ExtendFacts,
  type ExtendRequest,
  type ExtendStep,
  type ExtendVolume,
  planExtend,
} from './provision-extend-plan.ts';
import { readParts } from './provision-disk.ts';
import { readLivePool } from './provision-facts.ts';
import type { ChangeDeps, Role } from './provision-request.ts';
import { noPool } from './provision-status.ts';
import { finishChange, swapTable } from './swap-table.ts';

/**
 * Every step can be repeated: after a failure half-way the same request does the rest. What a dead process left suspended
 * goes on first.
 * @throws not_found; failed_precondition, invalid_argument, locked with nothing changed; what a step throws.
 */
export async function extendPool(
  request: ExtendRequest,
  deps: ChangeDeps,
  options: { readonly dryRun?: boolean } = {},
): Promise<ExtendStep[]> {
  const { name } = request;
  const { poolChanges } = deps;
  const dryRun = options.dryRun === true;
  const lock = poolChanges.lock(name);
  try {
    if (!dryRun) await finishChange(name, deps);
    const steps = planExtend(request, await readFacts(name, deps));
    if (dryRun || steps.length === 0) return steps;
    await poolChanges.begin(
      name,
      steps.flatMap((step) => changedDevice(name, step)),
    );
    for (const step of steps) await applyStep(name, step, deps);
    await poolChanges.end(name);
    return steps;
  } finally {
    lock.release();
  }
}

/** The device whose table a step changes. */
function changedDevice(pool: DmName, step: ExtendStep): DmName[] {
  if (step.do === 'grow_part') return [step.part.name];
  return step.do === 'reload' ? [pool] : [];
}

async function readFacts(name: DmName, { dm, devices }: ChangeDeps): Promise<ExtendFacts> {
  const live = await readLivePool(dm, name);
  const info = await dm.info(name);
  if (live.kind !== 'pool' || info === undefined) throw noPool('pool extend', name, live.kind);
  const backing = await readBacking(name, live.table, devices);
  const parts = await readParts(name, backing, { dm, devices });
  const volume = async (role: Role): Promise<ExtendVolume> => {
    const part = backing[role];
    const device = await devices.describe(part.device);
    if (device?.kind !== 'block') {
      throw new DmthinError('internal', {
        op: `pool extend ${name}`,
        device: part.device,
        what: 'the device that the pool stands on has no node in /dev',
      });
    }
    const file = part.file === undefined ? undefined : await devices.describe(part.file);
    return {
      ...part,
      deviceBytes: device.sizeBytes,
      fileBytes: file?.sizeBytes,
      part: parts.find((one) => one.role === role),
    };
  };
  return {
    table: live.table,
    status: parsePoolStatus(name, await dm.status(name)),
    suspended: info.suspended,
    isLvm: isLvmUuid(info.uuid),
    volumes: { data: await volume('data'), metadata: await volume('metadata') },
  };
}

async function applyStep(name: DmName, step: ExtendStep, deps: ChangeDeps): Promise<void> {
  switch (step.do) {
    case 'grow_file':
      await deps.devices.growFile(step.file, step.sizeBytes);
      return;
    case 'refresh_loop':
      await deps.devices.refreshLoop(step.device);
      return;
    case 'grow_part': {
      const { name: part, disk, offset } = step.part;
      await swapTable(part, [linearTable(bytesToSectors(step.sizeBytes), disk, offset)], deps.dm);
      return;
    }
    case 'reload':
      await swapTable(name, [poolTable(step.table)], deps.dm);
      await checkGrown(name, step, deps);
      return;
    default:
      step satisfies never;
  }
}

/** The kernel answers success also where it has not grown anything. */
async function checkGrown(
  name: DmName,
  { table, grows }: Extract<ExtendStep, { do: 'reload' }>,
  { dm }: ChangeDeps,
): Promise<void> {
  const status = parsePoolStatus(name, await dm.status(name, { noFlush: false }));
  const has = (role: 'data' | 'metadata'): boolean => {
    if (status.kind !== 'ok') return false;
    const growth = grows.find((one) => one.role === role);
    if (growth === undefined) return true;
    return role === 'data'
      ? status.totalDataBlocks >= table.length / table.blockSectors
      : status.totalMetadataBlocks * METADATA_BLOCK_BYTES > growth.fromBytes;
  };
  if (has('data') && has('metadata')) return;
  throw new DmthinError('internal', {
    op: `pool extend ${name}`,
    what: 'the kernel did not take the new size',
    poolStatus: status.raw,
    nextStep: 'the kernel log has the reason: dmesg | grep thin',
  });
}

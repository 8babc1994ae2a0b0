/** Carries out a plan, or takes back what it had made of it. */
import { DmthinError, hasCode, toDmthinError } from '../base/errors.ts';
import { type DmName, formatSize, sectorsToBytes } from '../base/units.ts';
import { poolTable } from '../dm/tables.ts';
import { poolUuid } from './names.ts';
import { devicePath } from '../dm/client.ts';
import { type DiskParts, partName, partTable } from './provision-disk.ts';
import { type ProvisionDeps, type Role, ROLES } from './provision-request.ts';
import type { Plan, PoolGeometry, Step } from './provision-plan.ts';

/** One line for people, as `--dry-run` prints it. */
export function describeStep(step: Step, name: DmName): string {
  switch (step.do) {
    case 'make_directory':
      return `make the directory ${step.path}`;
    case 'make_file':
      return `make the sparse file ${step.path} of ${formatSize(step.sizeBytes)}`;
    case 'attach':
      return `attach a loop device to ${step.path}`;
    case 'wipe':
      return `WIPE ${step.path}, which holds ${step.holds}`;
    case 'split': {
      const { disk, bytes } = step.parts;
      return `split ${disk}: its first ${formatSize(bytes.metadata)} for the metadata, the other ${formatSize(bytes.data)} for the data`;
    }
    case 'activate': {
      const { length, blockSectors, lowWaterBlocks } = step.geometry;
      const blockBytes = sectorsToBytes(blockSectors);
      const verb = step.formats ? 'make a new pool' : 'assemble the pool that is there';
      return `${verb}: /dev/mapper/${name} of ${formatSize(sectorsToBytes(length))}, blocks of ${formatSize(blockBytes)}, warning below ${formatSize(lowWaterBlocks * blockBytes)} free`;
    }
    default:
      return step satisfies never;
  }
}

/**
 * INVARIANT: when this throws, whatever its steps had made is gone again, except what `wipe` erased; what was there
 * before is still there.
 * @throws what the failing step throws, with what could not be taken back.
 */
export async function applyPlan(plan: Plan, name: DmName, deps: ProvisionDeps): Promise<void> {
  const devices: Partial<Record<Role, string>> = { ...plan.devices };
  const undos: (() => Promise<void>)[] = [];
  for (const step of plan.steps) {
    try {
      const undo = await applyStep(step, name, devices, deps);
      if (undo !== undefined) undos.push(undo);
    } catch (error) {
      throw await takeBack(undos, toDmthinError(error, `pool create ${name}`));
    }
  }
}

/** @returns what takes the step back. */
async function applyStep(
  step: Step,
  name: DmName,
  devices: Partial<Record<Role, string>>,
  deps: ProvisionDeps,
): Promise<(() => Promise<void>) | undefined> {
  switch (step.do) {
    case 'make_directory': {
      const topmost = await deps.devices.makeDirectory(step.path);
      return topmost === undefined ? undefined : () => deps.devices.removeDirectories(step.path, topmost);
    }
    case 'make_file':
      await deps.devices.makeFile(step.path, step.sizeBytes);
      return () => deps.devices.deleteFile(step.path);
    case 'attach': {
      const device = await deps.devices.attachLoop(step.path);
      devices[step.role] = device;
      return () => deps.devices.detachLoop(device);
    }
    case 'wipe':
      await deps.devices.wipe(deviceOf(step.role, devices));
      return undefined;
    case 'split':
      return split(step.parts, name, devices, deps);
    case 'activate':
      await activate(step.geometry, name, devices, deps);
      return undefined;
    default:
      return step satisfies never;
  }
}

/** @returns what takes the parts away again. */
async function split(
  parts: DiskParts,
  name: DmName,
  devices: Partial<Record<Role, string>>,
  { dm }: ProvisionDeps,
): Promise<() => Promise<void>> {
  const made: DmName[] = [];
  const undo = async (): Promise<void> => {
    for (const part of made) await dm.remove(part);
  };
  try {
    for (const role of ROLES) {
      const part = partName(name, role);
      devices[role] = devicePath(part);
      if (!parts.missing.includes(role)) continue;
      await dm.create(part, { uuid: `${poolUuid(name)}-${role}`, table: [partTable(parts, role)] });
      made.push(part);
    }
  } catch (error) {
    throw await takeBack([undo], toDmthinError(error, `pool create ${name}`));
  }
  return undo;
}

async function activate(
  geometry: PoolGeometry,
  name: DmName,
  devices: Partial<Record<Role, string>>,
  { dm }: ProvisionDeps,
): Promise<void> {
  const [dataDevice, metadataDevice] = [deviceOf('data', devices), deviceOf('metadata', devices)];
  try {
    const table = [poolTable({ ...geometry, dataDevice, metadataDevice })];
    await dm.create(name, { uuid: poolUuid(name), table });
  } catch (error) {
    // The kernel says EINVAL or EIO for everything that it dislikes about the metadata.
    if (!hasCode(error, 'invalid_argument', 'internal')) throw error;
    const nextStep = `dmesg | grep device-mapper has the kernel's reason; thin_check ${metadataDevice} checks the metadata`;
    throw error.with({ nextStep }, 'failed_precondition');
  }
}

function deviceOf(role: Role, devices: Partial<Record<Role, string>>): string {
  const device = devices[role];
  if (device === undefined)
    throw new DmthinError('internal', { op: 'pool create', what: `no ${role} device` });
  return device;
}

async function takeBack(undos: readonly (() => Promise<void>)[], cause: DmthinError): Promise<DmthinError> {
  const failures: string[] = [];
  for (const undo of undos.toReversed()) {
    try {
      await undo();
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (failures.length === 0) return cause;
  return cause.with({
    what: `${cause.detail.what}; and taking back what was made failed: ${failures.join('; ')}`,
  });
}

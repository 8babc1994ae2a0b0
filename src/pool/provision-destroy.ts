/** Takes a pool out of the kernel, its loop devices with it, and its loop files when asked. */
import { DmthinError } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import { readParts } from './provision-disk.ts';
import { activeThins, readBacking } from './provision-backing.ts';
import { loopFilePaths, readLivePool } from './provision-facts.ts';
import { isLvmPool } from './provision-lvm.ts';
import { type ProvisionDeps, ROLES } from './provision-request.ts';
import { noPool } from './provision-status.ts';

export interface DestroyRequest {
  readonly name: DmName;
  /** Where the loop files of a pool are that is not active; undefined: only an active pool can be destroyed. */
  readonly loopDirectory: string | undefined;
  readonly deleteFiles: boolean;
}

export interface DestroyDeps extends ProvisionDeps {
  /** Snapshots that the store names on this pool; undefined when there is no store. @throws locked while a daemon has it. */
  readonly countSnapshots: (pool: DmName) => Promise<number | undefined>;
}

export type DestroyStep =
  | { readonly do: 'remove_pool'; readonly name: DmName }
  | { readonly do: 'remove_part'; readonly name: DmName }
  | { readonly do: 'detach'; readonly device: string; readonly file: string }
  | { readonly do: 'delete'; readonly file: string };

export interface DestroyResult {
  readonly steps: readonly DestroyStep[];
  /** Loop files and disks that still hold the pool: creating it again assembles it. */
  readonly kept: readonly string[];
}

export function describeDestroyStep(step: DestroyStep): string {
  switch (step.do) {
    case 'remove_pool':
      return `remove the pool /dev/mapper/${step.name}`;
    case 'remove_part':
      return `remove the device /dev/mapper/${step.name}`;
    case 'detach':
      return `detach ${step.device} from ${step.file}`;
    case 'delete':
      return `delete ${step.file}`;
    default:
      return step satisfies never;
  }
}

/**
 * Every step can be repeated: after a failure half-way the same request with `loopDirectory` does the rest.
 * @throws not_found; busy while thin devices are active on it or it is open; failed_precondition while the store has
 *   snapshots on it; locked while a daemon has the store.
 */
export async function destroyPool(
  request: DestroyRequest,
  deps: DestroyDeps,
  options: { readonly dryRun?: boolean } = {},
): Promise<DestroyResult> {
  const { name } = request;
  const live = await readLivePool(deps.dm, name);
  if (live.kind === 'other') throw noPool('pool destroy', name, live.kind);
  if (await isLvmPool(deps.dm, name)) {
    throw new DmthinError('failed_precondition', {
      op: `pool destroy ${name}`,
      what: "it is LVM's",
      nextStep: `dmthin pool deactivate ${name}, then lvremove VG/POOL`,
    });
  }
  const backing = live.kind === 'pool' ? await readBacking(name, live.table, deps.devices) : undefined;
  const files =
    backing === undefined
      ? await filesIn(request, deps)
      : ROLES.flatMap((role) =>
          backing[role].ours && backing[role].file !== undefined ? [backing[role].file] : [],
        );
  if (backing === undefined && files.length === 0) throw noPool('pool destroy', name, 'absent');
  await refuseWhileNeeded(name, deps);
  const steps: DestroyStep[] = [];
  const parts = backing === undefined ? [] : await readParts(name, backing, deps);
  if (backing !== undefined) steps.push({ do: 'remove_pool', name });
  for (const part of parts) steps.push({ do: 'remove_part', name: part.name });
  for (const file of files) {
    for (const device of await deps.devices.loopsOf(file)) steps.push({ do: 'detach', device, file });
    if (request.deleteFiles) steps.push({ do: 'delete', file });
  }
  if (options.dryRun !== true) for (const step of steps) await applyStep(step, deps);
  const foreign = ROLES.flatMap((role) =>
    backing === undefined || backing[role].ours
      ? []
      : [parts.find((part) => part.role === role)?.disk ?? backing[role].device],
  );
  return { steps, kept: [...new Set([...(request.deleteFiles ? [] : files), ...foreign])] };
}

async function filesIn({ name, loopDirectory }: DestroyRequest, { devices }: DestroyDeps): Promise<string[]> {
  if (loopDirectory === undefined) return [];
  const paths = loopFilePaths(name, loopDirectory);
  const found: string[] = [];
  for (const role of ROLES) {
    if ((await devices.describe(paths[role]))?.kind === 'file') found.push(paths[role]);
  }
  return found;
}

async function refuseWhileNeeded(name: DmName, deps: DestroyDeps): Promise<void> {
  const thins = await activeThins(name, deps.dm);
  if (thins.length > 0) {
    const shown = thins.slice(0, 3).join(', ');
    throw new DmthinError('busy', {
      op: `pool destroy ${name}`,
      what: `${thins.length} thin devices are active on it: ${shown}${thins.length > 3 ? ', ...' : ''}`,
      nextStep: 'remove the containers and images that use them, stop dmthin, then try again',
    });
  }
  const snapshots = (await deps.countSnapshots(name)) ?? 0;
  if (snapshots === 0) return;
  throw new DmthinError('failed_precondition', {
    op: `pool destroy ${name}`,
    what: `the snapshot store names ${snapshots} snapshots on it`,
    nextStep: 'remove the containers and images that use them, so that containerd removes their snapshots',
  });
}

async function applyStep(step: DestroyStep, { dm, devices }: DestroyDeps): Promise<void> {
  switch (step.do) {
    case 'remove_pool':
    case 'remove_part':
      await dm.remove(step.name);
      return;
    case 'detach':
      await devices.detachLoop(step.device);
      return;
    case 'delete':
      await devices.deleteFile(step.file);
      return;
    default:
      step satisfies never;
  }
}

/** Takes a pool out of the kernel and keeps everything that is on it, for a repair or a move. */
import { DmthinError } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import type { FindDeviceUsers } from './device-users.ts';
import { DEVICE_UUID_PREFIX } from './names.ts';
import { readParts } from './provision-disk.ts';
import { activeThins, readBacking } from './provision-backing.ts';
import { readLivePool } from './provision-facts.ts';
import { isLvmPool } from './provision-lvm.ts';
import { type ProvisionDeps, ROLES } from './provision-request.ts';
import { noPool } from './provision-status.ts';

export type DeactivateStep =
  | { readonly do: 'remove_device'; readonly name: DmName }
  | { readonly do: 'remove_pool'; readonly name: DmName }
  | { readonly do: 'detach'; readonly device: string; readonly file: string };

export interface DeactivateDeps extends ProvisionDeps {
  readonly findUsers: FindDeviceUsers;
  /** @throws locked while a daemon has the pool's store. */
  readonly requireNoDaemon: () => Promise<unknown>;
}

export function describeDeactivateStep(step: DeactivateStep): string {
  switch (step.do) {
    case 'remove_device':
      return `deactivate the device /dev/mapper/${step.name}`;
    case 'remove_pool':
      return `deactivate the pool /dev/mapper/${step.name}`;
    case 'detach':
      return `detach ${step.device} from ${step.file}`;
    default:
      return step satisfies never;
  }
}

/**
 * Devices of snapshots that nobody has open go first; the daemon activates them again. A pool of LVM's stays for LVM to
 * deactivate. Every step can be repeated.
 * @throws not_found; busy, saying by whom; locked while a daemon has the store. Nothing is changed then.
 */
export async function deactivatePool(
  name: DmName,
  deps: DeactivateDeps,
  options: { readonly dryRun?: boolean } = {},
): Promise<DeactivateStep[]> {
  const { dm, devices } = deps;
  const live = await readLivePool(dm, name);
  if (live.kind !== 'pool') throw noPool('pool deactivate', name, live.kind);
  await deps.requireNoDaemon();
  const thins = await activeThins(name, dm);
  await refuseWhileUsed(name, thins, deps);
  const steps: DeactivateStep[] = thins.map((thin) => ({ do: 'remove_device', name: thin }));
  const isLvm = await isLvmPool(dm, name);
  if (!isLvm) steps.push({ do: 'remove_pool', name });
  const backing = await readBacking(name, live.table, devices);
  const parts = isLvm ? [] : await readParts(name, backing, deps);
  steps.push(...parts.map((part) => ({ do: 'remove_device', name: part.name }) as const));
  for (const role of ROLES) {
    const { device, file, ours } = backing[role];
    if (ours && file !== undefined) steps.push({ do: 'detach', device, file });
  }
  if (options.dryRun !== true) {
    for (const step of steps) {
      if (step.do === 'detach') await devices.detachLoop(step.device);
      else await dm.remove(step.name);
    }
  }
  return steps;
}

async function refuseWhileUsed(
  pool: DmName,
  thins: readonly DmName[],
  { dm, devices, findUsers }: DeactivateDeps,
): Promise<void> {
  const used: string[] = [];
  for (const thin of thins) {
    const info = await dm.info(thin);
    if (info === undefined) continue;
    if (!info.uuid.startsWith(DEVICE_UUID_PREFIX)) used.push(`${thin}, which dmthin did not make`);
    else if (info.openCount > 0) {
      const holders = await devices.holders(`${info.major}:${info.minor}`);
      used.push(describeUse(thin, [...(await findUsers(info)), ...holders.map((one) => `part of ${one}`)]));
    }
  }
  const info = await dm.info(pool);
  const others = info === undefined ? 0 : info.openCount - thins.length;
  if (others > 0 && info !== undefined) used.push(describeUse(pool, await findUsers(info)));
  if (used.length === 0) return;
  const more = used.length > MOST_SHOWN ? `, and ${used.length - MOST_SHOWN} more` : '';
  throw new DmthinError('busy', {
    op: `pool deactivate ${pool}`,
    what: `it is in use: ${used.slice(0, MOST_SHOWN).join('; ')}${more}`,
    nextStep: 'end the containers and unmount what is mounted, then try again',
  });
}

const MOST_SHOWN = 5;

function describeUse(device: DmName, users: readonly string[]): string {
  return `${device} is ${users.length === 0 ? 'open' : users.join(', ')}`;
}

/** A thin pool of LVM's, used as it is: LVM makes it, resizes it and owns its transaction id. It is only activated here. */
import { DmthinError } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import { formatLvmVolume, isLvmUuid, lvmPoolNames, type LvmVolume } from './lvm-names.ts';
import { readLivePool } from './provision-facts.ts';
import type { ProvisionDeps } from './provision-request.ts';

/** Whether the device is LVM's to change. */
export async function isLvmPool(dm: DmClient, name: DmName): Promise<boolean> {
  return isLvmUuid((await dm.info(name))?.uuid ?? '');
}

export interface Adopted {
  readonly name: DmName;
  /** Whether LVM had to activate it, or would have to in a dry run. */
  readonly outcome: 'present' | 'assembled';
}

/** What was done, or would be, in words. */
export function describeAdoption(lvm: LvmVolume, { outcome }: Adopted): string[] {
  return outcome === 'present' ? [] : [`let LVM activate ${formatLvmVolume(lvm)}`];
}

/**
 * @param name that the pool must have; undefined: whichever it has.
 * @throws not_found when LVM has no such pool; failed_precondition when it has another name, or is not LVM's.
 */
export async function adoptLvmPool(
  lvm: LvmVolume,
  name: DmName | undefined,
  deps: ProvisionDeps,
  options: { readonly dryRun?: boolean } = {},
): Promise<Adopted> {
  const op = `use LVM's pool ${formatLvmVolume(lvm)}`;
  const before = await findPool(lvm, deps);
  if (before === undefined && options.dryRun === true) {
    return { name: name ?? lvmPoolNames(lvm)[0], outcome: 'assembled' };
  }
  if (before === undefined) await deps.devices.activateLvm(formatLvmVolume(lvm));
  const found = before ?? (await findPool(lvm, deps));
  if (found === undefined) {
    throw new DmthinError('not_found', {
      op,
      what: `LVM has activated it, and there is no thin-pool device ${lvmPoolNames(lvm).join(' or ')}`,
      nextStep: `is it a thin pool? lvs -a -o name,segtype ${lvm.group}`,
    });
  }
  if (!(await isLvmPool(deps.dm, found))) {
    throw new DmthinError('failed_precondition', {
      op,
      device: found,
      what: "the device of that name is not LVM's",
    });
  }
  if (name !== undefined && name !== found) {
    throw new DmthinError('failed_precondition', {
      op,
      what: `its thin-pool device is ${found}, not ${name}`,
      nextStep: `set pool_name = "${found}"`,
    });
  }
  return { name: found, outcome: before === undefined ? 'assembled' : 'present' };
}

async function findPool(lvm: LvmVolume, { dm }: ProvisionDeps): Promise<DmName | undefined> {
  for (const name of lvmPoolNames(lvm)) {
    if ((await readLivePool(dm, name)).kind === 'pool') return name;
  }
  return undefined;
}

/** How LVM names the device-mapper devices of a thin pool. Pure. */
import { DmthinError } from '../base/errors.ts';
import { dmName, type DmName } from '../base/units.ts';

/** A thin pool of LVM's, `VG/POOL`. */
export interface LvmVolume {
  readonly group: string;
  readonly volume: string;
}

/** lvm(8), valid names. */
const LVM_NAME = /^(?!-|\.{1,2}$)[A-Za-z0-9+_.-]{1,127}$/;
const LVM_UUID_PREFIX = 'LVM-';

/** @throws invalid_argument */
export function parseLvmVolume(text: string): LvmVolume {
  const [group = '', volume = '', ...rest] = text.split('/');
  if (LVM_NAME.test(group) && LVM_NAME.test(volume) && rest.length === 0) return { group, volume };
  throw new DmthinError('invalid_argument', {
    op: 'read LVM name',
    what: `${JSON.stringify(text)} is not a volume group and a pool in it, such as "vg0/containers"`,
  });
}

export function formatLvmVolume({ group, volume }: LvmVolume): string {
  return `${group}/${volume}`;
}

/**
 * The names that the thin-pool may have: `VG-POOL-tpool`, and `VG-POOL` as long as no thin volume of LVM's has ever been in
 * it. LVM doubles the hyphens of VG and POOL.
 */
export function lvmPoolNames({ group, volume }: LvmVolume): readonly [DmName, DmName] {
  const plain = `${group.replaceAll('-', '--')}-${volume.replaceAll('-', '--')}`;
  return [dmName(`${plain}-tpool`), dmName(plain)];
}

/** Whether a device with this uuid is LVM's to change. */
export function isLvmUuid(uuid: string): boolean {
  return uuid.startsWith(LVM_UUID_PREFIX);
}

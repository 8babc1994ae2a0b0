/** What the pool commands share: option values, and device-mapper for the length of one command. */
import { InvalidArgumentError, Option } from 'commander';
import { DmthinError, toDmthinError } from '../base/errors.ts';
import { type Bytes, dmName, type DmName, parseSize } from '../base/units.ts';
import { type LvmVolume, parseLvmVolume } from '../pool/lvm-names.ts';
import type { ProvisionDeps } from '../pool/provision-request.ts';
import type { CliDeps, Transport } from './deps.ts';

/** An argument that names a pool. */
export function readPoolName(text: string): DmName {
  try {
    return dmName(text);
  } catch {
    const hint = text.startsWith('/dev/mapper/')
      ? 'Give the name alone, without /dev/mapper/.'
      : 'It is not a usable name.';
    throw new InvalidArgumentError(hint);
  }
}

/** An argument that names a thin pool of LVM's. */
export function readLvmVolume(text: string): LvmVolume {
  try {
    return parseLvmVolume(text);
  } catch (error) {
    throw new InvalidArgumentError(toDmthinError(error, 'lvm').detail.what);
  }
}

export function readSize(text: string): Bytes {
  const size = parseSize(text);
  if (size === undefined || size === 0)
    throw new InvalidArgumentError('It is not a size such as 20G or 512M.');
  return size;
}

export function transportOption(): Option {
  return new Option('--transport <name>', 'how device-mapper is reached')
    .choices(['auto', 'ioctl', 'dmsetup'])
    .default('auto');
}

/** @throws unsupported (EPERM) for anybody but root: the kernel's own answers would be less clear. */
export function requireRoot(deps: CliDeps): void {
  if (!deps.isRoot()) {
    throw new DmthinError('unsupported', {
      op: 'dmthin',
      what: 'device-mapper and loop devices are for root alone',
      errno: 'EPERM',
      nextStep: 'run the same command with sudo',
    });
  }
}

/** @throws as {@link requireRoot}. */
export async function withDeviceMapper<T>(
  transport: Transport,
  deps: CliDeps,
  body: (access: ProvisionDeps) => Promise<T>,
): Promise<T> {
  requireRoot(deps);
  const dm = await deps.openDm(transport);
  try {
    return await body({ dm, devices: deps.blockDevices });
  } finally {
    await dm.close();
  }
}

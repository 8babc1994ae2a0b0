/** Flags that say what a pool stands on. */
import { resolve } from 'node:path';
import { DmthinError } from '../base/errors.ts';
import type { Bytes } from '../base/units.ts';
import type { PoolBacking } from '../pool/provision-request.ts';
import { checkMetadataSize } from '../pool/provision-geometry.ts';

export interface BackingOptions {
  readonly loopDir?: string;
  readonly dataSize?: Bytes;
  readonly metadataSize?: Bytes;
  readonly dataDevice?: string;
  readonly metadataDevice?: string;
  readonly device?: string;
}

/** @throws invalid_argument when the flags do not say exactly one thing. */
export function readBackingOptions(command: string, options: BackingOptions): PoolBacking {
  const { loopDir, device, dataDevice, metadataDevice, dataSize } = options;
  const metadataBytes =
    options.metadataSize === undefined ? undefined : checkMetadataSize(options.metadataSize);
  const kinds = [loopDir, device, dataDevice ?? metadataDevice].filter((flag) => flag !== undefined);
  if (kinds.length === 1 && loopDir !== undefined) {
    return { kind: 'loop', directory: resolve(loopDir), dataBytes: dataSize, metadataBytes };
  }
  if (kinds.length === 1 && dataSize !== undefined) {
    throw usageError(command, 'disks are taken whole: --data-size goes with --loop-dir');
  }
  if (kinds.length === 1 && device !== undefined) {
    return { kind: 'disk', device: resolve(device), metadataBytes };
  }
  if (kinds.length === 1 && dataDevice !== undefined && metadataDevice !== undefined) {
    if (metadataBytes !== undefined) {
      throw usageError(command, 'devices are taken whole: --metadata-size goes with --loop-dir or --device');
    }
    return { kind: 'devices', data: resolve(dataDevice), metadata: resolve(metadataDevice) };
  }
  throw usageError(
    command,
    'give either --loop-dir, or --device, or both --data-device and --metadata-device',
  );
}

/** An impossible combination of flags. */
export function usageError(command: string, what: string): DmthinError {
  return new DmthinError('invalid_argument', { op: command, what, nextStep: `dmthin ${command} --help` });
}

/** For a pool that is not described by them. @throws invalid_argument when one of the flags is there. */
export function refuseBackingOptions(command: string, options: BackingOptions): void {
  const { loopDir, device, dataDevice, metadataDevice, dataSize, metadataSize } = options;
  if (
    [loopDir, device, dataDevice, metadataDevice, dataSize, metadataSize].every((flag) => flag === undefined)
  )
    return;
  throw usageError(command, '--lvm stands alone: LVM knows what the pool is on, and how large it is');
}

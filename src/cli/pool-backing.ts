/** Flags that say what a pool stands on. */
import { resolve } from 'node:path';
import { DmthinError } from '../base/errors.ts';
import type { Bytes } from '../base/units.ts';
import type { PoolBacking } from '../pool/provision-facts.ts';
import { checkMetadataSize } from '../pool/provision-geometry.ts';

export interface BackingOptions {
  readonly loopDir?: string;
  readonly dataSize?: Bytes;
  readonly metadataSize?: Bytes;
  readonly dataDevice?: string;
  readonly metadataDevice?: string;
}

/** @throws invalid_argument when the flags do not say exactly one thing. */
export function readBackingOptions(command: string, options: BackingOptions): PoolBacking {
  const { loopDir, dataDevice, metadataDevice, dataSize, metadataSize } = options;
  if (loopDir !== undefined && dataDevice === undefined && metadataDevice === undefined) {
    return {
      kind: 'loop',
      directory: resolve(loopDir),
      dataBytes: dataSize,
      metadataBytes: metadataSize === undefined ? undefined : checkMetadataSize(metadataSize),
    };
  }
  if (loopDir === undefined && dataDevice !== undefined && metadataDevice !== undefined) {
    if (dataSize !== undefined || metadataSize !== undefined) {
      throw usageError(
        command,
        'devices are taken whole: --data-size and --metadata-size go with --loop-dir',
      );
    }
    return { kind: 'devices', data: resolve(dataDevice), metadata: resolve(metadataDevice) };
  }
  throw usageError(command, 'give either --loop-dir, or both --data-device and --metadata-device');
}

/** An impossible combination of flags. */
export function usageError(command: string, what: string): DmthinError {
  return new DmthinError('invalid_argument', { op: command, what, nextStep: `dmthin ${command} --help` });
}

/** For a pool that is not described by them. @throws invalid_argument when one of the flags is there. */
export function refuseBackingOptions(command: string, options: BackingOptions): void {
  const { loopDir, dataDevice, metadataDevice, dataSize, metadataSize } = options;
  if ([loopDir, dataDevice, metadataDevice, dataSize, metadataSize].every((flag) => flag === undefined))
    return;
  throw usageError(command, '--lvm stands alone: LVM knows what the pool is on, and how large it is');
}

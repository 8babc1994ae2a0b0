/** A pool's state in one value, for people and for scripts. */
import { DmthinError } from '../base/errors.ts';
import { type Bytes, bytes, type DmName, sectorsToBytes } from '../base/units.ts';
import { METADATA_BLOCK_BYTES, parsePoolStatus } from '../dm/status.ts';
import type { PoolFeature } from '../dm/tables.ts';
import { activeThins, type Backing, readBacking } from './provision-backing.ts';
import { readLivePool } from './provision-facts.ts';
import type { ProvisionDeps, Role } from './provision-request.ts';

export interface Space {
  readonly usedBytes: Bytes;
  readonly totalBytes: Bytes;
}

export interface PoolReport {
  readonly name: DmName;
  /** As the kernel names it; `fail`: all I/O errors; `error`: the kernel cannot read its own figures. */
  readonly mode: 'rw' | 'ro' | 'out_of_data_space' | 'fail' | 'error';
  readonly suspended: boolean;
  /** undefined in mode `fail` and `error`. */
  readonly figures:
    | {
        readonly data: Space;
        readonly metadata: Space;
        readonly transactionId: bigint;
        readonly needsCheck: boolean;
        readonly whenFull: 'queue' | 'error';
      }
    | undefined;
  readonly blockBytes: Bytes;
  /** The kernel raises an event when less data is free. */
  readonly lowWaterBytes: Bytes;
  readonly features: readonly PoolFeature[];
  readonly activeThins: readonly DmName[];
  readonly backing: Readonly<Record<Role, Backing & { readonly allocatedBytes: Bytes | undefined }>>;
  /** The status line as the kernel printed it. */
  readonly raw: string;
}

/** @throws not_found; failed_precondition when the device is no thin-pool. */
export async function readPoolReport(name: DmName, { dm, devices }: ProvisionDeps): Promise<PoolReport> {
  const live = await readLivePool(dm, name);
  const info = await dm.info(name);
  if (live.kind !== 'pool' || info === undefined) throw noPool('pool status', name, live.kind);
  const { table } = live;
  const status = parsePoolStatus(name, await dm.status(name));
  const blockBytes = sectorsToBytes(table.blockSectors);
  const backing = await readBacking(name, table, devices);
  const allocated = async ({ file }: Backing) =>
    file === undefined ? undefined : (await devices.describe(file))?.allocatedBytes;
  return {
    name,
    mode: status.kind === 'ok' ? status.mode : status.kind,
    suspended: info.suspended,
    figures:
      status.kind === 'ok'
        ? {
            data: space(status.usedDataBlocks, status.totalDataBlocks, blockBytes),
            metadata: space(status.usedMetadataBlocks, status.totalMetadataBlocks, METADATA_BLOCK_BYTES),
            transactionId: status.transactionId,
            needsCheck: status.needsCheck,
            whenFull: status.whenFull,
          }
        : undefined,
    blockBytes,
    lowWaterBytes: bytes(table.lowWaterBlocks * blockBytes),
    features: table.features,
    activeThins: await activeThins(name, dm),
    backing: {
      data: { ...backing.data, allocatedBytes: await allocated(backing.data) },
      metadata: { ...backing.metadata, allocatedBytes: await allocated(backing.metadata) },
    },
    raw: status.raw,
  };
}

function space(used: number, total: number, blockBytes: number): Space {
  return { usedBytes: bytes(used * blockBytes), totalBytes: bytes(total * blockBytes) };
}

/** The error for a name that is no thin-pool's. */
export function noPool(op: string, name: DmName, found: 'absent' | 'other' | 'pool'): DmthinError {
  return found === 'absent'
    ? new DmthinError('not_found', {
        op: `${op} ${name}`,
        what: 'there is no device of that name',
        nextStep: '"dmthin pool create" makes a pool, and assembles one again after a reboot',
      })
    : new DmthinError('failed_precondition', {
        op: `${op} ${name}`,
        what: 'the device of that name is not a thin-pool',
      });
}

/**
 * Status lines of thin pools and thin devices. Pure.
 * Source: kernel, Documentation/admin-guide/device-mapper/thin-provisioning.
 */
import { type DmName, type Sectors } from '../base/units.ts';
import type { DmLine } from './client.ts';
import {
  formatLine,
  type LineSource,
  onlyLine,
  parseBigint,
  parseCount,
  parseSectors,
  parseUsage,
  unreadable,
  words,
} from './parse.ts';

/** Bytes in one block of a pool's metadata, whatever its data block size is. */
export const METADATA_BLOCK_BYTES = 4096;

export interface HealthyPoolStatus {
  readonly kind: 'ok';
  readonly transactionId: bigint;
  /** Of {@link METADATA_BLOCK_BYTES} each. */
  readonly usedMetadataBlocks: number;
  readonly totalMetadataBlocks: number;
  /** Of the pool's block size each. */
  readonly usedDataBlocks: number;
  readonly totalDataBlocks: number;
  /** Metadata block of the reserved metadata snapshot; undefined when none is held. */
  readonly heldRoot: number | undefined;
  readonly mode: PoolMode;
  readonly discard: 'passdown' | 'no_passdown' | 'ignore';
  readonly whenFull: 'queue' | 'error';
  /** The metadata must be checked before the pool can be written again. False on kernels that do not tell. */
  readonly needsCheck: boolean;
  /** The kernel raises an event when fewer metadata blocks are free; undefined on kernels that do not tell. */
  readonly metadataLowWaterBlocks: number | undefined;
  /** The whole line as the kernel printed it. */
  readonly raw: string;
}

export type PoolMode = 'rw' | 'ro' | 'out_of_data_space';

/** `fail`: all I/O to the pool errors, only a repair helps. `error`: the kernel could not read its own figures. */
export type PoolStatus =
  | HealthyPoolStatus
  | { readonly kind: 'fail'; readonly raw: string }
  | { readonly kind: 'error'; readonly raw: string };

/** @throws failed_precondition when the device is no thin-pool; internal when the line cannot be read. */
export function parsePoolStatus(device: DmName, lines: readonly DmLine[]): PoolStatus {
  const source = onlyLine('read pool status', device, lines, 'thin-pool');
  const raw = formatLine(source.line);
  if (source.line.params === 'Fail') return { kind: 'fail', raw };
  if (source.line.params === 'Error') return { kind: 'error', raw };
  const [transactionId, metadata, data, heldRoot, ...policies] = words(source);
  const [usedMetadataBlocks, totalMetadataBlocks] = parseUsage(source, metadata);
  const [usedDataBlocks, totalDataBlocks] = parseUsage(source, data);
  return {
    kind: 'ok',
    transactionId: parseBigint(source, transactionId),
    usedMetadataBlocks,
    totalMetadataBlocks,
    usedDataBlocks,
    totalDataBlocks,
    heldRoot: heldRoot === '-' ? undefined : parseCount(source, heldRoot),
    ...parsePolicies(source, policies),
    raw,
  };
}

const DISCARD: Readonly<Record<string, HealthyPoolStatus['discard']>> = {
  discard_passdown: 'passdown',
  no_discard_passdown: 'no_passdown',
  ignore_discard: 'ignore',
};

/** The words after the held root. Those after the discard policy came to the kernel one by one, from 3.16 to 4.20. */
function parsePolicies(
  source: LineSource,
  policies: readonly string[],
): Pick<HealthyPoolStatus, 'mode' | 'discard' | 'whenFull' | 'needsCheck' | 'metadataLowWaterBlocks'> {
  const [mode, discardWord, whenFull = 'queue_if_no_space', needsCheck = '-', lowWater, ...rest] = policies;
  if (mode !== 'rw' && mode !== 'ro' && mode !== 'out_of_data_space') {
    throw unreadable(source, `unknown pool mode ${JSON.stringify(mode ?? '')}`);
  }
  const discard = DISCARD[discardWord ?? ''];
  if (discard === undefined)
    throw unreadable(source, `unknown discard policy ${JSON.stringify(discardWord ?? '')}`);
  if (whenFull !== 'queue_if_no_space' && whenFull !== 'error_if_no_space') {
    throw unreadable(source, `unknown policy ${JSON.stringify(whenFull)}`);
  }
  if (needsCheck !== 'needs_check' && needsCheck !== '-') {
    throw unreadable(source, `unknown word ${JSON.stringify(needsCheck)}`);
  }
  if (rest.length > 0) throw unreadable(source, `unknown words ${JSON.stringify(rest.join(' '))}`);
  return {
    mode,
    discard,
    whenFull: whenFull === 'queue_if_no_space' ? 'queue' : 'error',
    needsCheck: needsCheck === 'needs_check',
    metadataLowWaterBlocks: lowWater === undefined ? undefined : parseCount(source, lowWater),
  };
}

export type ThinStatus =
  | {
      readonly kind: 'ok';
      /** Shared blocks count too. */
      readonly mappedSectors: Sectors;
      readonly highestMappedSector: Sectors | undefined;
      readonly raw: string;
    }
  | { readonly kind: 'fail'; readonly raw: string }
  | { readonly kind: 'error'; readonly raw: string };

/** @throws failed_precondition when the device is no thin device; internal when the line cannot be read. */
export function parseThinStatus(device: DmName, lines: readonly DmLine[]): ThinStatus {
  const source = onlyLine('read thin status', device, lines, 'thin');
  const raw = formatLine(source.line);
  // The kernel prints a lone dash for a thin device that it could not open in its pool.
  if (source.line.params === 'Fail' || source.line.params === '-') return { kind: 'fail', raw };
  if (source.line.params === 'Error') return { kind: 'error', raw };
  const [mapped, highest, ...rest] = words(source);
  if (rest.length > 0) throw unreadable(source, `unknown words ${JSON.stringify(rest.join(' '))}`);
  return {
    kind: 'ok',
    mappedSectors: parseSectors(source, mapped),
    highestMappedSector: highest === '-' ? undefined : parseSectors(source, highest),
    raw,
  };
}

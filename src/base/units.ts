/** Branded units and identifiers. Constructors validate; everything past them may trust the value. */
import { DmthinError } from './errors.ts';

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** A size in bytes: a non-negative safe integer (8 PiB is enough for any thin device). */
export type Bytes = Branded<number, 'Bytes'>;
/** A size or offset in 512-byte sectors. */
export type Sectors = Branded<number, 'Sectors'>;
/** A thin device's id inside its pool: 0 to 2^24 - 1 (kernel: Documentation/admin-guide/device-mapper/thin-provisioning). */
export type DeviceId = Branded<number, 'DeviceId'>;
/** A snapshot's row number in our store; never reused. */
export type SnapshotId = Branded<number, 'SnapshotId'>;
/** A device-mapper device's name: 1 to 127 bytes, no slash. */
export type DmName = Branded<string, 'DmName'>;

export const SECTOR_BYTES = 512;
export const MAX_DEVICE_ID = 0xff_ffff;

/** What neither libdm nor udev mangles. */
const DM_NAME = /^[A-Za-z0-9#+\-.:=@_]{1,127}$/;
/** Not names of devices in /dev/mapper. */
const RESERVED_NAMES = ['.', '..', 'control'];

function invalid(op: string, what: string): DmthinError {
  return new DmthinError('invalid_argument', { op, what });
}

export function bytes(value: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0) throw invalid('bytes', `${value} is not a size in bytes`);
  return value as Bytes;
}

export function sectors(value: number): Sectors {
  if (!Number.isSafeInteger(value) || value < 0)
    throw invalid('sectors', `${value} is not a number of sectors`);
  return value as Sectors;
}

export function deviceId(value: number): DeviceId {
  if (!Number.isInteger(value) || value < 0 || value > MAX_DEVICE_ID) {
    throw invalid('device id', `${value} is not a thin device id (0 to ${MAX_DEVICE_ID})`);
  }
  return value as DeviceId;
}

export function snapshotId(value: number): SnapshotId {
  if (!Number.isSafeInteger(value) || value < 1)
    throw invalid('snapshot id', `${value} is not a snapshot id`);
  return value as SnapshotId;
}

/** @throws invalid_argument when the kernel or udev would mangle or refuse the name. */
export function dmName(value: string): DmName {
  if (!DM_NAME.test(value) || RESERVED_NAMES.includes(value)) {
    throw invalid(
      'device-mapper name',
      `${JSON.stringify(value)} is not a usable name: 1 to 127 characters of A-Z a-z 0-9 # + - . : = @ _, and not . or .. or control`,
    );
  }
  return value as DmName;
}

/** Rounds down to whole sectors. */
export function bytesToSectors(size: Bytes): Sectors {
  return Math.floor(size / SECTOR_BYTES) as Sectors;
}

/** @throws invalid_argument past 2^53 bytes. */
export function sectorsToBytes(size: Sectors): Bytes {
  return bytes(size * SECTOR_BYTES);
}

const SIZE = /^\s*(\d+(?:\.\d+)?)\s*([kmgtpKMGTP]?)(?:[iI]?[bB])?\s*$/;
const EXPONENT: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/**
 * Reads a human size: `8192MB`, `10GB`, `16Mb`, `32KIB`, `512`. All multiples are binary, letters in any case,
 * as in the original (docker/go-units RAMInBytes).
 * @returns undefined when the text is not a size.
 */
export function parseSize(text: string): Bytes | undefined {
  const match = SIZE.exec(text);
  const [number, unit] = [match?.[1], match?.[2]];
  if (number === undefined || unit === undefined) return undefined;
  const exponent = EXPONENT[unit.toLowerCase()];
  if (exponent === undefined) return undefined;
  const value = Math.floor(Number(number) * 1024 ** exponent);
  return Number.isSafeInteger(value) ? (value as Bytes) : undefined;
}

const DURATION = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m)\s*$/;
const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** Reads `500ms`, `2s`, `1.5m`. @returns whole milliseconds; undefined when the text is not such a duration. */
export function parseDurationMs(text: string): number | undefined {
  const match = DURATION.exec(text);
  const factor = DURATION_MS[match?.[2] ?? ''];
  return factor === undefined ? undefined : Math.round(Number(match?.[1]) * factor);
}

/** A size for people: `1.5 GiB`. At most one decimal, never rounded up to a unit it has not reached. */
export function formatSize(size: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text =
    unit === 0 || Number.isInteger(value) ? String(value) : (Math.floor(value * 10) / 10).toFixed(1);
  return `${text} ${units[unit] ?? ''}`;
}

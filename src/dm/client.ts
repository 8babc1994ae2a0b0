/**
 * What dmthin asks of device-mapper, whichever transport carries it.
 *
 * Contract (held by test/contract for the fake and for both real transports):
 * - A device that is absent is a value (`undefined`) where one asks for it, and `not_found` (errno ENXIO) where one acts
 *   on it. "Could not tell" is always an error, never "absent".
 * - Errors are {@link DmthinError} with `errno` set when the kernel answered one:
 *   EBUSY -> busy, ENXIO/ENODEV -> not_found, EEXIST -> already_exists, ENODATA -> not_found,
 *   ENOSPC -> resource_exhausted, EOPNOTSUPP -> unavailable, EPERM/EACCES -> unsupported, EINVAL -> invalid_argument,
 *   else internal. `detail.op`, `detail.device` are always set.
 * - No call blocks the event loop.
 */
import type { DmName, Sectors } from '../base/units.ts';

export type TransportName = 'ioctl' | 'dmsetup';

export interface DmInfo {
  readonly name: DmName;
  readonly uuid: string;
  readonly major: number;
  readonly minor: number;
  /** How many have the device open (mounts, other dm devices, processes). */
  readonly openCount: number;
  readonly eventNr: number;
  readonly suspended: boolean;
  readonly readOnly: boolean;
  /** A live table is loaded. */
  readonly live: boolean;
  /** A table is loaded but not yet resumed into life. */
  readonly inactive: boolean;
  /** The kernel will remove the device at its last close. */
  readonly deferredRemove: boolean;
}

/** One line of a table or status. */
export interface DmLine {
  readonly start: Sectors;
  readonly length: Sectors;
  readonly target: string;
  /** Parameters as the kernel prints them, without start, length and target. */
  readonly params: string;
}

export interface DmDeviceName {
  readonly name: DmName;
  readonly major: number;
  readonly minor: number;
}

export interface DmTarget {
  readonly name: string;
  readonly version: readonly [number, number, number];
}

export interface CreateOptions {
  readonly uuid: string;
  readonly table: readonly DmLine[];
  readonly readOnly?: boolean;
}

export interface DmClient {
  readonly transport: TransportName | 'fake';
  /** Kernel interface version, for example 4.47.0. */
  version(): Promise<readonly [number, number, number]>;
  targets(): Promise<DmTarget[]>;
  list(): Promise<DmDeviceName[]>;
  /** @returns undefined when no device has that name. */
  info(name: DmName): Promise<DmInfo | undefined>;
  /**
   * Creates the device, loads its table and resumes it: afterwards it is live and /dev/mapper/NAME leads to it.
   * All or nothing: when a step fails, the half-made device is gone again.
   * @throws busy (EBUSY) when the name is taken.
   */
  create(name: DmName, options: CreateOptions): Promise<DmInfo>;
  /** Loads a table into the inactive slot; it takes effect at the next suspend and resume. */
  load(name: DmName, table: readonly DmLine[], options?: { readonly readOnly?: boolean }): Promise<void>;
  /**
   * Flushes and freezes the device's filesystem unless `skipLockfs`; waits for I/O in flight unless `noFlush`.
   * Where that I/O may itself wait for what comes next, as when a full pool is grown, only `noFlush` gets through.
   */
  suspend(
    name: DmName,
    options?: { readonly noFlush?: boolean; readonly skipLockfs?: boolean },
  ): Promise<void>;
  resume(name: DmName): Promise<DmInfo>;
  /**
   * Removes the device and its /dev/mapper entry.
   * @returns `removed`, or with `deferred` and the device open `deferred`: the kernel removes it at the last close.
   * @throws busy when open and not `deferred`; not_found.
   */
  remove(name: DmName, options?: { readonly deferred?: boolean }): Promise<'removed' | 'deferred'>;
  table(name: DmName): Promise<DmLine[]>;
  /** With `noFlush` (the default here) reading a pool's status commits nothing. */
  status(name: DmName, options?: { readonly noFlush?: boolean }): Promise<DmLine[]>;
  /** Sends a target message to sector 0. @returns the target's answer, '' for most. */
  message(name: DmName, message: string): Promise<string>;
  /**
   * Sends a message unless the device `other` exists, and reads the status after it without a flush, all in one go.
   * @returns the status; undefined when `other` exists, and nothing was sent.
   */
  messageUnlessPresent(name: DmName, message: string, other: DmName): Promise<DmLine[] | undefined>;
  close(): Promise<void>;
}

/** Where a device's node is found, for mounts and opens. */
export function devicePath(name: DmName): string {
  return `/dev/mapper/${name}`;
}

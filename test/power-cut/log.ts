/**
 * The log that the kernel's target log-writes keeps of a disk, decoded. Sources: admin-guide/device-mapper/log-writes of the
 * kernel's documentation, and the structures at the head of drivers/md/dm-log-writes.c.
 *
 * Its order is that in which things became durable. A write is logged when the next flush has ended, just before that
 * flush; one with FUA, and a mark, at once. So what stands before a point of the log is what was durable at that moment.
 */
import { readSync } from 'node:fs';

export type LogEntry =
  | {
      readonly kind: 'write' | 'discard';
      readonly offset: number;
      readonly length: number;
      /** Durable when it ended, without a flush. */
      readonly fua: boolean;
      /** Where in the log its data begins. */
      readonly dataAt: number;
    }
  | { readonly kind: 'flush' }
  | { readonly kind: 'mark'; readonly name: string };

export interface LogHead {
  readonly entries: number;
  /** What all sizes in the log are multiples of, in bytes. */
  readonly sectorBytes: number;
}

const MAGIC = 0x6a736677736872n;
const VERSION = 1n;
const FLAG = { flush: 1, fua: 2, discard: 4, mark: 8 } as const;
const ENTRY_BYTES = 32;

/** @throws Error when it is no log of the version that we know. */
export function decodeHead(sector: Buffer): LogHead {
  if (sector.readBigUInt64LE(0) !== MAGIC || sector.readBigUInt64LE(8) !== VERSION)
    throw new Error('no log of log-writes');
  return { entries: Number(sector.readBigUInt64LE(16)), sectorBytes: sector.readUInt32LE(24) };
}

/**
 * Decodes what begins with `sector`, which is at `at` in the log. A write that was sent with a flush is a flush and a write.
 * @returns the entries and where the next one begins.
 */
export function decodeEntry(sector: Buffer, at: number): { entries: LogEntry[]; next: number } {
  const sectorBytes = sector.length;
  const [offset, length] = [0, 8].map((field) => Number(sector.readBigUInt64LE(field)) * sectorBytes) as [
    number,
    number,
  ];
  const flags = Number(sector.readBigUInt64LE(16));
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const dataAt = at + sectorBytes;
  if (has(FLAG.mark)) {
    const nameBytes = Number(sector.readBigUInt64LE(24));
    const name = sector.toString('latin1', ENTRY_BYTES, ENTRY_BYTES + nameBytes);
    return { entries: [{ kind: 'mark', name }], next: dataAt };
  }
  if (has(FLAG.discard))
    return { entries: [{ kind: 'discard', offset, length, fua: false, dataAt }], next: dataAt };
  const entries: LogEntry[] = has(FLAG.flush) ? [{ kind: 'flush' }] : [];
  if (length > 0) entries.push({ kind: 'write', offset, length, fua: has(FLAG.fua), dataAt });
  return { entries, next: dataAt + length };
}

/** @param fd of the log, whose target is gone. */
export function readLog(fd: number): LogEntry[] {
  const first = Buffer.alloc(512);
  readSync(fd, first, 0, first.length, 0);
  const head = decodeHead(first);
  const log: LogEntry[] = [];
  const sector = Buffer.alloc(head.sectorBytes);
  let at = head.sectorBytes;
  for (let count = 0; count < head.entries; count += 1) {
    readSync(fd, sector, 0, sector.length, at);
    const { entries, next } = decodeEntry(sector, at);
    log.push(...entries);
    at = next;
  }
  return log;
}

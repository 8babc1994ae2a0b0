/**
 * The states in which a disk with a volatile cache may be found after a power cut, from the log of its writes. Pure.
 *
 * Before a flush stand the writes that it made durable. At any moment before its end each of them may have reached the
 * disk, whole or in parts, or not: those are the states in between.
 */
import type { Random } from '../workload/random.ts';
import type { LogEntry } from './log.ts';

/** Part of a write that reached the disk without a flush. */
export interface Piece {
  readonly entry: number;
  /** Within the write. */
  readonly from: number;
  readonly length: number;
}

export interface Cut {
  readonly kind: 'flush' | 'fua' | 'between';
  /** Entries before this one are on the disk. */
  readonly durable: number;
  /** And these besides, in their order. */
  readonly pieces: readonly Piece[];
}

/** What a disk writes as a whole; it promises so for a sector, and half of one page may be new. */
const PIECE_BYTES = 4096;
const SHARES = [15, 50, 85] as const;

/**
 * All states after a flush and after a write with FUA, none of the unflushed kept, and `between` ones for every flush that had
 * something to make durable.
 * @param from the first entry of interest.
 */
export function planCuts(log: readonly LogEntry[], from: number, between: number, random: Random): Cut[] {
  const cuts: Cut[] = [];
  let pending: number[] = [];
  for (const [index, entry] of log.entries()) {
    const isFua = entry.kind === 'write' && entry.fua;
    if ((entry.kind === 'write' || entry.kind === 'discard') && !isFua) pending.push(index);
    if (index >= from && isFua) cuts.push({ kind: 'fua', durable: index + 1, pieces: [] });
    if (entry.kind !== 'flush') continue;
    const [first] = pending;
    if (index >= from && first !== undefined) {
      for (let count = 0; count < between; count += 1)
        cuts.push({ kind: 'between', durable: first, pieces: keepSome(log, pending, random) });
    }
    if (index >= from) cuts.push({ kind: 'flush', durable: index + 1, pieces: [] });
    pending = [];
  }
  return cuts;
}

function keepSome(log: readonly LogEntry[], pending: readonly number[], random: Random): Piece[] {
  const share = random.pick(SHARES) ?? 50;
  const whole = random.percent(50);
  return pending.flatMap((index) => {
    const entry = log[index];
    if (entry?.kind !== 'write' && entry?.kind !== 'discard') return [];
    if (whole) return random.percent(share) ? [{ entry: index, from: 0, length: entry.length }] : [];
    return piecesOf(entry.offset, entry.length)
      .filter(() => random.percent(share))
      .map((piece) => ({ entry: index, ...piece }));
  });
}

/** Cuts a write where the disk's pages end. */
function piecesOf(offset: number, length: number): { from: number; length: number }[] {
  const pieces: { from: number; length: number }[] = [];
  for (let from = 0; from < length;) {
    const size = Math.min(PIECE_BYTES - ((offset + from) % PIECE_BYTES), length - from);
    pieces.push({ from, length: size });
    from += size;
  }
  return pieces;
}

/**
 * Writes that the log has after one with FUA to the same place, without a flush in between. Which of the two was first it does not
 * tell, so that what lies there is uncertain.
 */
export function countUncertain(log: readonly LogEntry[]): number {
  let count = 0;
  let forced: { offset: number; length: number }[] = [];
  for (const entry of log) {
    if (entry.kind === 'flush') forced = [];
    if (entry.kind !== 'write') continue;
    const { offset, length } = entry;
    if (entry.fua) forced.push({ offset, length });
    else if (forced.some((other) => other.offset < offset + length && offset < other.offset + other.length))
      count += 1;
  }
  return count;
}

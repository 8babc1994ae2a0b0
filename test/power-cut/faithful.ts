/** A log is of use only when it is in order: played to its end, it must give the disk that it is of. */
import { type FileHandle, open } from 'node:fs/promises';
import type { LogEntry } from './log.ts';

const CHUNK_BYTES = 1024 * 1024;

export interface FaithfulOptions {
  /** Complete, of a disk that was all zeros before. */
  readonly log: readonly LogEntry[];
  readonly logPath: string;
  /** The disk, or the file behind it. */
  readonly diskPath: string;
  readonly diskBytes: number;
}

/** @throws Error when the disk is not what the log makes of it. */
export async function requireFaithful({ log, logPath, diskPath, diskBytes }: FaithfulOptions): Promise<void> {
  await using source = await open(logPath, 'r');
  await using disk = await open(diskPath, 'r');
  const image = Buffer.alloc(diskBytes);
  for (const entry of log) {
    if (entry.kind === 'discard') image.fill(0, entry.offset, entry.offset + entry.length);
    if (entry.kind === 'write')
      await readAt(source, image.subarray(entry.offset, entry.offset + entry.length), entry.dataAt);
  }
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let at = 0; at < diskBytes; at += CHUNK_BYTES) {
    const expected = image.subarray(at, at + CHUNK_BYTES);
    const found = chunk.subarray(0, expected.length);
    await readAt(disk, found, at);
    if (found.equals(expected)) continue;
    const byte = at + expected.findIndex((value, index) => value !== found[index]);
    throw new Error(`the log is not in the order of the disk's writes: they differ at byte ${byte}`);
  }
}

async function readAt(file: FileHandle, into: Buffer, at: number): Promise<void> {
  const { bytesRead } = await file.read(into, 0, into.length, at);
  if (bytesRead < into.length) throw new Error(`a file ends at byte ${at + bytesRead}, too early`);
}

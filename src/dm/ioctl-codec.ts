/** Requests to the kernel's device-mapper as bytes, and its answers back. Pure. */
import { DmthinError } from '../base/errors.ts';
import { type DmName, dmName, type Sectors, sectors } from '../base/units.ts';
import type { DmDeviceName, DmInfo, DmLine, DmTarget } from './client.ts';
import {
  FLAG,
  HEADER,
  INTERFACE_VERSION,
  MESSAGE_TEXT,
  NAME_BYTES,
  NAME_LIST,
  TARGET_SPEC,
  TARGET_TYPE_BYTES,
  TARGET_VERSIONS,
  UUID_BYTES,
} from './ioctl-abi.ts';

export interface DmRequest {
  /** Absent for requests about no single device. */
  readonly name?: DmName | undefined;
  /** Only with DEV_CREATE: elsewhere the kernel wants name or uuid, not both. */
  readonly uuid?: string | undefined;
  readonly flags?: number;
  readonly eventNr?: number;
  readonly targetCount?: number;
  readonly payload?: Buffer;
}

/**
 * @param answerBytes room for the answer's payload; the request's own payload sets the least.
 * @throws invalid_argument when name or uuid are too long.
 */
export function encodeRequest(request: DmRequest, answerBytes = 0): Buffer {
  const { name = '', uuid = '', flags = 0, eventNr = 0, targetCount = 0, payload } = request;
  const buffer = Buffer.alloc(HEADER.bytes + Math.max(payload?.length ?? 0, answerBytes));
  INTERFACE_VERSION.forEach((part, index) => buffer.writeUInt32LE(part, HEADER.version + 4 * index));
  buffer.writeUInt32LE(buffer.length, HEADER.dataSize);
  buffer.writeUInt32LE(HEADER.bytes, HEADER.dataStart);
  buffer.writeUInt32LE(targetCount, HEADER.targetCount);
  buffer.writeUInt32LE(flags, HEADER.flags);
  buffer.writeUInt32LE(eventNr, HEADER.eventNr);
  writeText(buffer, name, HEADER.name, NAME_BYTES);
  writeText(buffer, uuid, HEADER.uuid, UUID_BYTES);
  payload?.copy(buffer, HEADER.bytes);
  return buffer;
}

/** The payload of TABLE_LOAD. */
export function encodeTable(lines: readonly DmLine[]): Buffer {
  return Buffer.concat(
    lines.map((line) => {
      const params = Buffer.from(line.params);
      const spec = Buffer.alloc(align8(TARGET_SPEC.bytes + params.length + 1));
      spec.writeBigUInt64LE(BigInt(line.start), TARGET_SPEC.start);
      spec.writeBigUInt64LE(BigInt(line.length), TARGET_SPEC.length);
      spec.writeUInt32LE(spec.length, TARGET_SPEC.next);
      writeText(spec, line.target, TARGET_SPEC.type, TARGET_TYPE_BYTES);
      params.copy(spec, TARGET_SPEC.bytes);
      return spec;
    }),
  );
}

/** The payload of TARGET_MSG, to sector 0. */
export function encodeMessage(message: string): Buffer {
  return Buffer.concat([Buffer.alloc(MESSAGE_TEXT), Buffer.from(`${message}\0`)]);
}

export function decodeFlags(answer: Buffer): number {
  return answer.readUInt32LE(HEADER.flags);
}

export function decodeVersion(answer: Buffer): readonly [number, number, number] {
  return readVersion(answer, HEADER.version);
}

export function decodeInfo(answer: Buffer): DmInfo {
  const flags = decodeFlags(answer);
  const { major, minor } = decodeDev(answer.readBigUInt64LE(HEADER.dev));
  return {
    name: dmName(readText(answer, HEADER.name)),
    uuid: readText(answer, HEADER.uuid),
    major,
    minor,
    openCount: answer.readInt32LE(HEADER.openCount),
    eventNr: answer.readUInt32LE(HEADER.eventNr),
    suspended: (flags & FLAG.suspend) !== 0,
    readOnly: (flags & FLAG.readOnly) !== 0,
    live: (flags & FLAG.activePresent) !== 0,
    inactive: (flags & FLAG.inactivePresent) !== 0,
    deferredRemove: (flags & FLAG.deferredRemove) !== 0,
  };
}

/** The lines of TABLE_STATUS. Here `next` counts from the first spec, unlike in every other list. */
export function decodeLines(answer: Buffer): DmLine[] {
  const first = answer.readUInt32LE(HEADER.dataStart);
  const count = answer.readUInt32LE(HEADER.targetCount);
  const lines: DmLine[] = [];
  for (let at = first; lines.length < count; at = first + answer.readUInt32LE(at + TARGET_SPEC.next)) {
    lines.push({
      start: readSectors(answer, at + TARGET_SPEC.start),
      length: readSectors(answer, at + TARGET_SPEC.length),
      target: readText(answer, at + TARGET_SPEC.type),
      params: readText(answer, at + TARGET_SPEC.bytes).trimEnd(),
    });
  }
  return lines;
}

/** The devices of LIST_DEVICES. Devices whose names dmthin would not use are none of its business and left out. */
export function decodeNames(answer: Buffer): DmDeviceName[] {
  const names: DmDeviceName[] = [];
  for (const at of chain(answer, NAME_LIST.next)) {
    const dev = answer.readBigUInt64LE(at + NAME_LIST.dev);
    // An empty list is one entry with device number 0.
    if (dev === 0n) break;
    const name = usableName(readText(answer, at + NAME_LIST.name));
    if (name !== undefined) names.push({ name, ...decodeDev(dev) });
  }
  return names;
}

/** The targets of LIST_VERSIONS. */
export function decodeTargets(answer: Buffer): DmTarget[] {
  return [...chain(answer, TARGET_VERSIONS.next)].map((at) => ({
    name: readText(answer, at + TARGET_VERSIONS.name),
    version: readVersion(answer, at + TARGET_VERSIONS.version),
  }));
}

/** What a target answered to a message. */
export function decodeText(answer: Buffer): string {
  return readText(answer, answer.readUInt32LE(HEADER.dataStart));
}

/** The kernel's huge encoding of a device number. */
export function decodeDev(dev: bigint): { readonly major: number; readonly minor: number } {
  return { major: Number((dev >> 8n) & 0xfffn), minor: Number((dev & 0xffn) | ((dev >> 12n) & 0xf_ff00n)) };
}

/** Offsets of a list whose `next` counts from the entry itself, 0 at the last. */
function* chain(answer: Buffer, nextOffset: number): Generator<number> {
  let at = answer.readUInt32LE(HEADER.dataStart);
  for (;;) {
    yield at;
    const next = answer.readUInt32LE(at + nextOffset);
    if (next === 0) return;
    at += next;
  }
}

function usableName(text: string): DmName | undefined {
  try {
    return dmName(text);
  } catch {
    return undefined;
  }
}

function readVersion(buffer: Buffer, at: number): readonly [number, number, number] {
  return [buffer.readUInt32LE(at), buffer.readUInt32LE(at + 4), buffer.readUInt32LE(at + 8)];
}

function readSectors(buffer: Buffer, at: number): Sectors {
  return sectors(Number(buffer.readBigUInt64LE(at)));
}

function readText(buffer: Buffer, at: number): string {
  const end = buffer.indexOf(0, at);
  return buffer.toString('utf8', at, end === -1 ? buffer.length : end);
}

function writeText(buffer: Buffer, text: string, at: number, fieldBytes: number): void {
  if (Buffer.byteLength(text) >= fieldBytes || text.includes('\0')) {
    throw new DmthinError('invalid_argument', {
      op: 'encode device-mapper request',
      what: `${JSON.stringify(text)} does not fit into ${fieldBytes - 1} bytes`,
    });
  }
  buffer.write(text, at);
}

function align8(value: number): number {
  return Math.ceil(value / 8) * 8;
}

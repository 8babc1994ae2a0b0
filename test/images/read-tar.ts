/** Reads a tar stream entry by entry; contents are digested as they pass, so memory does not grow with them. */
import { createHash } from 'node:crypto';
import { BLOCK, TAR_TYPES, type TarHeader, type TarType, XATTR_PREFIX } from './tar.ts';

export interface TarEntry extends TarHeader {
  /** Of a file's content, in hex; '' for everything else. */
  readonly sha256: string;
}

const TYPE_OF_FLAG: ReadonlyMap<string, TarType> = new Map<string, TarType>([
  ...Object.entries(TAR_TYPES).map(([type, flag]) => [flag, type as TarType] as const),
  ['\0', 'file'],
]);

/** @throws Error on a bad checksum, an entry type outside {@link TAR_TYPES}, or an archive cut short. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const input = createInput(source);
  let pax = new Map<string, Buffer>();
  let longName: string | undefined;
  let longLink: string | undefined;
  for (;;) {
    const block = await input.take(BLOCK);
    if (block.every((byte) => byte === 0)) return;
    checkSum(block);
    const flag = text(block, 156, 1);
    const size = Number(pax.get('size') ?? number(block, 124, 12));
    if (flag === 'x') pax = parsePax(await takeBody(input, size));
    else if (flag === 'g') await takeBody(input, size);
    else if (flag === 'L') longName = cString(await takeBody(input, size));
    else if (flag === 'K') longLink = cString(await takeBody(input, size));
    else {
      const header = decodeHeader(block, pax, longName, longLink);
      yield { ...header, sha256: await digestBody(input, header) };
      pax = new Map();
      longName = longLink = undefined;
    }
  }
}

function decodeHeader(
  block: Buffer,
  pax: ReadonlyMap<string, Buffer>,
  longName: string | undefined,
  longLink: string | undefined,
): TarHeader {
  const flag = block.toString('latin1', 156, 157);
  const type = TYPE_OF_FLAG.get(flag);
  const prefix = text(block, 257, 6).startsWith('ustar\0') ? text(block, 345, 155) : '';
  const name = prefix === '' ? text(block, 0, 100) : `${prefix}/${text(block, 0, 100)}`;
  const path = pax.get('path')?.toString() ?? longName ?? name;
  if (type === undefined) throw new Error(`tar entry ${path}: unknown type ${JSON.stringify(flag)}`);
  for (const key of pax.keys()) {
    if (key.startsWith('GNU.sparse')) throw new Error(`tar entry ${path}: sparse format is not supported`);
  }
  const fact = (key: string, offset: number, width: number) =>
    Math.floor(Number(pax.get(key) ?? number(block, offset, width)));
  const link = pax.get('linkpath')?.toString() ?? longLink ?? text(block, 157, 100);
  const isDevice = type === 'chardev' || type === 'blockdev';
  return {
    path: relativePath(path),
    type,
    mode: number(block, 100, 8) & 0o7777,
    uid: fact('uid', 108, 8),
    gid: fact('gid', 116, 8),
    mtime: fact('mtime', 136, 12),
    size: type === 'file' ? fact('size', 124, 12) : 0,
    link: type === 'hardlink' ? relativePath(link) : link,
    xattrs: xattrsOf(pax),
    device: isDevice ? [number(block, 329, 8), number(block, 337, 8)] : [0, 0],
  };
}

function xattrsOf(pax: ReadonlyMap<string, Buffer>): Record<string, string> {
  const found = [...pax].filter(([key]) => key.startsWith(XATTR_PREFIX));
  return Object.fromEntries(
    found.map(([key, value]) => [key.slice(XATTR_PREFIX.length), value.toString('base64')]),
  );
}

/** `./a/b/`, `/a/b` and `a/b` are one path. */
function relativePath(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function parsePax(body: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(' ', at);
    const length = Number(body.toString('latin1', at, space));
    const equals = body.indexOf('=', space);
    if (space < 0 || equals < 0 || !(length > 0)) throw new Error('tar: malformed pax record');
    records.set(body.toString('utf8', space + 1, equals), body.subarray(equals + 1, at + length - 1));
    at += length;
  }
  return records;
}

interface Input {
  /** Exactly `length` bytes. */
  take(length: number): Promise<Buffer>;
  /** `length` bytes piece by piece. */
  pieces(length: number): AsyncGenerator<Buffer>;
}

function createInput(source: AsyncIterable<Uint8Array>): Input {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  const input: Input = {
    async *pieces(length) {
      let left = length;
      while (left > 0) {
        if (rest.length === 0) {
          const next = await iterator.next();
          if (next.done === true) throw new Error('tar: the archive is cut short');
          rest = Buffer.from(next.value);
        }
        const piece = rest.subarray(0, left);
        rest = rest.subarray(piece.length);
        left -= piece.length;
        yield piece;
      }
    },
    async take(length) {
      return Buffer.concat(await Array.fromAsync(input.pieces(length)));
    },
  };
  return input;
}

async function takeBody(input: Input, size: number): Promise<Buffer> {
  const body = await input.take(size);
  await input.take(paddingOf(size));
  return body;
}

async function digestBody(input: Input, header: TarHeader): Promise<string> {
  if (header.type !== 'file') return '';
  const hash = createHash('sha256');
  for await (const piece of input.pieces(header.size)) hash.update(piece);
  await input.take(paddingOf(header.size));
  return hash.digest('hex');
}

function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function checkSum(block: Buffer): void {
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0);
  if (sum !== number(block, 148, 8)) throw new Error('tar: bad header checksum');
}

/** Octal text, or GNU's base-256 for values too big for it. */
function number(block: Buffer, offset: number, width: number): number {
  if ((block[offset] ?? 0) & 0x80) return block.readUIntBE(offset + width - 6, 6);
  return Number.parseInt(text(block, offset, width).trim() || '0', 8);
}

function text(block: Buffer, offset: number, width: number): string {
  const field = block.subarray(offset, offset + width);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? width : end);
}

function cString(body: Buffer): string {
  return text(body, 0, body.length);
}

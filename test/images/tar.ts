/**
 * Tar archives: one entry's facts, and how they become bytes.
 *
 * Format: POSIX ustar with pax extended headers (IEEE Std 1003.1, "pax Interchange Format"). Equal entries give equal
 * bytes: nothing here reads a clock, a user database or a file system.
 */
export const TAR_TYPES = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  chardev: '3',
  blockdev: '4',
  directory: '5',
  fifo: '6',
} as const;
export type TarType = keyof typeof TAR_TYPES;

export interface TarHeader {
  /** Relative, without leading `./` or `/` and without trailing slash; '' is the root directory itself. */
  readonly path: string;
  readonly type: TarType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Bytes of content; 0 for everything but files. */
  readonly size: number;
  /** A symlink's text, or the path that a hard link shares; else ''. */
  readonly link: string;
  /** Value bytes in base64, so that entries can be compared and kept as JSON. */
  readonly xattrs: Readonly<Record<string, string>>;
  /** Major and minor of a device node. */
  readonly device: readonly [number, number];
}

export const BLOCK = 512;
export const XATTR_PREFIX = 'SCHILY.xattr.';
const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;

/** Two zero blocks end an archive. */
export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK);

/** The bytes of one entry: extended header when one is needed, header, content, padding. */
export function encodeEntry(header: TarHeader, content: Buffer): Buffer {
  if (content.length !== header.size)
    throw new Error(`${header.path}: ${content.length} bytes for size ${header.size}`);
  const path = header.type === 'directory' ? `${header.path}/` : header.path;
  const extended = paxRecords(header, path);
  const parts: Buffer[] = [];
  if (extended.length > 0) {
    parts.push(ustarBlock({ ...header, size: extended.length, mode: 0o644 }, 'pax', 'x'), padded(extended));
  }
  parts.push(ustarBlock(header, path, TAR_TYPES[header.type]), padded(content));
  return Buffer.concat(parts);
}

/** What a ustar block cannot say: long or non-ASCII names, big owners, extended attributes. */
function paxRecords(header: TarHeader, path: string): Buffer {
  const records: Buffer[] = [];
  const add = (key: string, value: Buffer | string) => records.push(paxRecord(key, Buffer.from(value)));
  if (!fitsName(path)) add('path', path);
  if (!fitsName(header.link)) add('linkpath', header.link);
  if (header.uid > MAX_OCTAL_7) add('uid', String(header.uid));
  if (header.gid > MAX_OCTAL_7) add('gid', String(header.gid));
  for (const name of Object.keys(header.xattrs).sort()) {
    add(XATTR_PREFIX + name, Buffer.from(header.xattrs[name] ?? '', 'base64'));
  }
  return Buffer.concat(records);
}

function fitsName(name: string): boolean {
  return name.length <= 100 && /^[\x20-\x7e]*$/.test(name);
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function ustarBlock(header: TarHeader, path: string, typeFlag: string): Buffer {
  if (header.size > MAX_OCTAL_11) throw new Error(`${header.path}: too big for a ustar header`);
  const block = Buffer.alloc(BLOCK);
  const octal = (offset: number, width: number, value: number, most: number) =>
    block.write(
      Math.min(value, most)
        .toString(8)
        .padStart(width - 1, '0'),
      offset,
      'latin1',
    );
  block.write(path, 0, 100, 'utf8');
  octal(100, 8, header.mode, MAX_OCTAL_7);
  octal(108, 8, header.uid, MAX_OCTAL_7);
  octal(116, 8, header.gid, MAX_OCTAL_7);
  octal(124, 12, header.size, MAX_OCTAL_11);
  octal(136, 12, header.mtime, MAX_OCTAL_11);
  block.write(typeFlag, 156, 'latin1');
  block.write(header.link, 157, 100, 'utf8');
  block.write('ustar\u000000', 257, 'latin1');
  octal(329, 8, header.device[0], MAX_OCTAL_7);
  octal(337, 8, header.device[1], MAX_OCTAL_7);
  // The checksum is computed with its own field filled with spaces.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function padded(content: Buffer): Buffer {
  const rest = content.length % BLOCK;
  return rest === 0 ? content : Buffer.concat([content, Buffer.alloc(BLOCK - rest)]);
}

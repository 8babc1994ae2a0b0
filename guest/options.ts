/** What the caller asks of a guest: command line and DMTHIN_GUEST_* variables, decoded. Pure. */
import { DmthinError } from '../src/base/errors.ts';
import { type Bytes, bytes, parseSize } from '../src/base/units.ts';

/** Which kernel to boot: the newer one where it can be had, else the installed one; or exactly one of the two; or a file. */
export type KernelChoice = { kind: 'auto' } | { kind: 'fast' } | { kind: 'distribution' } | FileKernel;
export interface FileKernel {
  readonly kind: 'file';
  readonly path: string;
}

/** An extra raw disk of the guest: a fresh sparse file of `sizeBytes`, or a file that the caller brings and keeps. */
export type ExtraDisk = { readonly name: string } & (
  { readonly sizeBytes: Bytes } | { readonly path: string }
);

export interface GuestOptions {
  readonly command: readonly [string, ...string[]];
  /** Run right on the host instead of in a guest. */
  readonly onHost: boolean;
  readonly kernel: KernelChoice;
  readonly timeoutMs: number;
  /** undefined: 2 GiB or what fits. */
  readonly memoryBytes: Bytes | undefined;
  /** Size of the file system at DMTHIN_DISK. */
  readonly diskBytes: Bytes;
  readonly disks: readonly ExtraDisk[];
  /** Leave the scratch directory behind and say where. */
  readonly keep: boolean;
}

export const USAGE = `usage: npm run guest -- [--host] COMMAND [ARGUMENT...]

Runs COMMAND as root in the test machine, a User-Mode Linux guest with device-mapper, and exits with its exit code.
--host runs it right here instead, on this machine's own device-mapper. docs/guest.md lists the DMTHIN_GUEST_* variables.
`;

const DEFAULT_TIMEOUT_S = 600;
const DEFAULT_DISK_BYTES = 16 * 1024 ** 3;
const MIN_MEMORY_BYTES = 128 * 1024 ** 2;
/** ubda is the disk at DMTHIN_DISK, ubdb to ubdp are left. */
const MAX_EXTRA_DISKS = 15;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param argv arguments after the script's name.
 * @returns 'help' when usage was asked for.
 * @throws invalid_argument
 */
export function parseOptions(argv: readonly string[], env: Environment): GuestOptions | 'help' {
  let onHost = false;
  let rest = argv;
  while (rest[0]?.startsWith('-') === true) {
    const flag = rest[0];
    rest = rest.slice(1);
    if (flag === '--') break;
    if (flag === '--help' || flag === '-h') return 'help';
    if (flag !== '--host') throw invalid('arguments', `unknown option ${flag}`);
    onHost = true;
  }
  const [program, ...args] = rest;
  if (program === undefined) throw invalid('arguments', 'no command given');
  return {
    command: [program, ...args],
    onHost,
    kernel: parseKernelChoice(env['DMTHIN_GUEST_KERNEL'] ?? ''),
    timeoutMs: parseSeconds(env['DMTHIN_GUEST_TIMEOUT']) * 1000,
    memoryBytes: parseMemory(env['DMTHIN_GUEST_MEM']),
    diskBytes: parseSizeOf('DMTHIN_GUEST_DISK_SIZE', env['DMTHIN_GUEST_DISK_SIZE'], DEFAULT_DISK_BYTES),
    disks: parseDisks(env['DMTHIN_GUEST_DISKS'] ?? ''),
    keep: (env['DMTHIN_GUEST_KEEP'] ?? '') === '1',
  };
}

/** `auto` (also ''), `fast`, `distribution`, or an absolute path. @throws invalid_argument */
export function parseKernelChoice(text: string): KernelChoice {
  if (text === '' || text === 'auto') return { kind: 'auto' };
  if (text === 'fast' || text === 'distribution') return { kind: text };
  if (text.startsWith('/')) return { kind: 'file', path: text };
  throw invalid('DMTHIN_GUEST_KERNEL', `${text} is not auto, fast, distribution or an absolute path`);
}

/** `NAME:SIZE,NAME:/FILE...`; the guest sees them as /dev/ubdb, /dev/ubdc... in this order. @throws invalid_argument */
export function parseDisks(text: string): ExtraDisk[] {
  const disks = text
    .split(',')
    .filter((part) => part !== '')
    .map(parseDisk);
  if (disks.length > MAX_EXTRA_DISKS) {
    throw invalid('DMTHIN_GUEST_DISKS', `more than ${MAX_EXTRA_DISKS} disks`);
  }
  const twice = disks.find((disk, index) => disks.findIndex((other) => other.name === disk.name) !== index);
  if (twice !== undefined) throw invalid('DMTHIN_GUEST_DISKS', `two disks are called ${twice.name}`);
  return disks;
}

function parseDisk(part: string): ExtraDisk {
  const match = /^([a-z][a-z0-9_]*):(.+)$/.exec(part);
  const [name, value] = [match?.[1], match?.[2]];
  if (name === undefined || value === undefined) {
    throw invalid('DMTHIN_GUEST_DISKS', `${part} is not NAME:SIZE or NAME:/FILE (names: a-z 0-9 _)`);
  }
  if (value.startsWith('/')) {
    // The kernel's command line has no way to quote these, and takes a colon for a copy-on-write pair.
    if (/[\s:]/.test(value)) throw invalid('DMTHIN_GUEST_DISKS', `${value} has a colon or white space`);
    return { name, path: value };
  }
  return { name, sizeBytes: parseSizeOf('DMTHIN_GUEST_DISKS', value, 0) };
}

function parseMemory(text: string | undefined): Bytes | undefined {
  if (text === undefined || text === '') return undefined;
  const size = parseSizeOf('DMTHIN_GUEST_MEM', text, 0);
  if (size < MIN_MEMORY_BYTES) throw invalid('DMTHIN_GUEST_MEM', `${text} is less than 128M`);
  return size;
}

function parseSizeOf(variable: string, text: string | undefined, fallback: number): Bytes {
  if (text === undefined || text === '') return bytes(fallback);
  const size = parseSize(text);
  if (size === undefined || size === 0) throw invalid(variable, `${text} is not a size such as 512M or 8G`);
  return size;
}

function parseSeconds(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_TIMEOUT_S;
  const seconds = Number(text);
  // A timer takes at most 2^31 - 1 milliseconds.
  if (!/^\d+$/.test(text) || seconds < 1 || seconds > 2_000_000) {
    throw invalid('DMTHIN_GUEST_TIMEOUT', `${text} is not a number of seconds from 1 to 2000000`);
  }
  return seconds;
}

function invalid(op: string, what: string): DmthinError {
  return new DmthinError('invalid_argument', { op, what });
}

/** What the dmsetup program prints with LC_ALL=C, read back. Pure. Source: dmsetup(8), checked with 1.02.185. */
import { DmthinError } from '../base/errors.ts';
import { type DmName, dmName, sectors } from '../base/units.ts';
import type { DmDeviceName, DmInfo, DmLine, DmTarget } from './client.ts';

export type Version = readonly [number, number, number];

/** Field separator for `info -c`: not allowed in the names that dmthin uses. */
export const SEPARATOR = '|';

/** @throws internal with the text in it. */
function unreadable(op: string, text: string, device?: DmName): DmthinError {
  return new DmthinError('internal', {
    op,
    device,
    what: `dmsetup printed what dmthin cannot read: ${JSON.stringify(text.slice(0, 500))}`,
    nextStep: 'report this text together with the output of dmsetup version',
  });
}

/** Both versions of `dmsetup version`; the driver's is missing when the kernel has no device-mapper. */
export function parseVersions(text: string): {
  readonly library: Version;
  readonly driver: Version | undefined;
} {
  const library = versionAfter('Library version:', text);
  if (library === undefined) throw unreadable('version', text);
  return { library, driver: versionAfter('Driver version:', text) };
}

function versionAfter(label: string, text: string): Version | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(label));
  return line === undefined ? undefined : parseVersion(line.slice(label.length));
}

function parseVersion(text: string): Version | undefined {
  const match = /^\s*v?(\d+)\.(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** `dmsetup targets`. */
export function parseTargets(text: string): DmTarget[] {
  return nonEmptyLines(text).map((line) => {
    const [name, versionText = '', ...rest] = line.split(/\s+/);
    const version = parseVersion(versionText);
    if (name === undefined || version === undefined || rest.length > 0) throw unreadable('targets', line);
    return { name, version };
  });
}

/** `dmsetup info -c -o name,major,minor`. Devices whose names dmthin would not use are left out. */
export function parseNames(text: string): DmDeviceName[] {
  if (text.trim() === 'No devices found') return [];
  return nonEmptyLines(text).flatMap((line) => {
    const fields = line.split(SEPARATOR);
    const [major, minor] = [Number(fields.at(-2)), Number(fields.at(-1))];
    if (fields.length < 3 || !Number.isInteger(major) || !Number.isInteger(minor))
      throw unreadable('list', line);
    try {
      return [{ name: dmName(fields.slice(0, -2).join(SEPARATOR)), major, minor }];
    } catch {
      return [];
    }
  });
}

/** `dmsetup info NAME`: the long form, since the columns do not tell whether a removal is deferred. */
export function parseInfo(name: DmName, text: string): DmInfo {
  const fields = new Map(
    nonEmptyLines(text).map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
  const field = (label: string): string => {
    const value = fields.get(label);
    if (value === undefined) throw unreadable('info', text, name);
    return value;
  };
  const count = (value: string | undefined): number => {
    if (value === undefined || !/^\d+$/.test(value)) throw unreadable('info', text, name);
    return Number(value);
  };
  const [major, minor] = field('Major, minor').split(', ');
  const state = field('State');
  const tables = field('Tables present');
  if (field('Name') !== name || !/^(ACTIVE|SUSPENDED)\b/.test(state)) throw unreadable('info', text, name);
  return {
    name,
    uuid: fields.get('UUID') ?? '',
    major: count(major),
    minor: count(minor),
    openCount: count(field('Open count')),
    eventNr: count(field('Event number')),
    suspended: state.startsWith('SUSPENDED'),
    readOnly: state.includes('(READ-ONLY)'),
    live: /\bLIVE\b/.test(tables),
    inactive: /\bINACTIVE\b/.test(tables),
    deferredRemove: state.includes('(DEFERRED REMOVE)'),
  };
}

/** `dmsetup table NAME` and `dmsetup status NAME`: `START LENGTH TARGET PARAMETERS`. */
export function parseLines(op: string, name: DmName, text: string): DmLine[] {
  return nonEmptyLines(text).map((line) => {
    const match = /^(\d+) (\d+) (\S+) ?(.*)$/.exec(line);
    if (match?.[3] === undefined) throw unreadable(op, line, name);
    return {
      start: sectors(Number(match[1])),
      length: sectors(Number(match[2])),
      target: match[3],
      params: (match[4] ?? '').trimEnd(),
    };
  });
}

function nonEmptyLines(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}

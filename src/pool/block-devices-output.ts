/** What util-linux's programs print, read. Pure. */
import * as v from 'valibot';
import { DmthinError } from '../base/errors.ts';

const loopList = v.object({
  loopdevices: v.array(
    v.object({
      name: v.string(),
      // Text before util-linux 2.37, numbers since.
      offset: v.pipe(v.union([v.string(), v.number()]), v.transform(Number)),
      sizelimit: v.pipe(v.union([v.string(), v.number()]), v.transform(Number)),
    }),
  ),
});

/**
 * Reads `losetup --json --list --output NAME,OFFSET,SIZELIMIT`, which prints nothing at all for no device.
 * @returns those that show their file whole.
 */
export function parseLoopList(text: string): string[] {
  if (text.trim() === '') return [];
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new DmthinError(
      'internal',
      { op: 'losetup', what: `unreadable output ${JSON.stringify(text)}` },
      error,
    );
  }
  const parsed = v.safeParse(loopList, json);
  if (!parsed.success) {
    throw new DmthinError('internal', { op: 'losetup', what: `unexpected output ${JSON.stringify(text)}` });
  }
  return parsed.output.loopdevices
    .filter(({ offset, sizelimit }) => offset === 0 && sizelimit === 0)
    .map(({ name }) => name);
}

/**
 * Reads `blkid --probe --output export`: the filesystem's or RAID's type, else the partition table's.
 * @returns undefined when it only says of a partition where it is, which it does of blank ones too.
 */
export function parseSignature(text: string): string | undefined {
  const found = new Map(
    text.split('\n').flatMap((line) => {
      const [key, value] = line.split('=', 2);
      if (key === undefined || value === undefined) return [];
      return key === 'DEVNAME' || key.startsWith('PART_ENTRY_') ? [] : [[key, value] as const];
    }),
  );
  if (found.size === 0) return undefined;
  return found.get('TYPE') ?? found.get('PTTYPE') ?? 'an unknown signature';
}

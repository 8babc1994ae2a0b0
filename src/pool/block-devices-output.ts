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

/** Reads `blkid --output export`: the filesystem's or RAID's type, else the partition table's. */
export function parseSignature(text: string): string {
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1];
  return value('TYPE') ?? value('PTTYPE') ?? 'an unknown signature';
}

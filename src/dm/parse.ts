/** Small steps shared by the parsers of the kernel's table and status lines. Pure. */
import { DmthinError } from '../base/errors.ts';
import { type DmName, type Sectors, sectors } from '../base/units.ts';
import type { DmLine } from './client.ts';

/** What is being parsed, so that an error can say it. */
export interface LineSource {
  readonly op: string;
  readonly device: DmName;
  readonly line: DmLine;
}

/** The line as `dmsetup` would print it. */
export function formatLine(line: DmLine): string {
  return `${line.start} ${line.length} ${line.target} ${line.params}`.trimEnd();
}

/** @returns an error that carries the whole line. */
export function unreadable(source: LineSource, what: string): DmthinError {
  return new DmthinError('internal', {
    op: source.op,
    device: source.device,
    what: `${what} in ${JSON.stringify(formatLine(source.line))}`,
    nextStep: 'report this line together with the kernel version',
  });
}

/**
 * The device's only line.
 * @throws failed_precondition when the device is not one target of the wanted type.
 */
export function onlyLine(op: string, device: DmName, lines: readonly DmLine[], target: string): LineSource {
  const [line] = lines;
  if (line === undefined || lines.length !== 1 || line.target !== target) {
    const found =
      lines.length === 0 ? 'has no live table' : `is ${lines.map(({ target }) => target).join(', ')}`;
    throw new DmthinError('failed_precondition', { op, device, what: `not a ${target} device: it ${found}` });
  }
  return { op, device, line };
}

export function words(source: LineSource): string[] {
  return source.line.params.split(' ').filter((word) => word !== '');
}

export function parseBigint(source: LineSource, word: string | undefined): bigint {
  if (word === undefined || !/^\d+$/.test(word)) {
    throw unreadable(source, `${JSON.stringify(word ?? '')} is not a number`);
  }
  return BigInt(word);
}

export function parseCount(source: LineSource, word: string | undefined): number {
  const value = parseBigint(source, word);
  if (value > Number.MAX_SAFE_INTEGER) throw unreadable(source, `${value.toString()} is too large`);
  return Number(value);
}

export function parseSectors(source: LineSource, word: string | undefined): Sectors {
  return sectors(parseCount(source, word));
}

/** `12/100` as two counts. */
export function parseUsage(
  source: LineSource,
  word: string | undefined,
): readonly [used: number, total: number] {
  const [used, total, ...rest] = (word ?? '').split('/');
  if (rest.length > 0) throw unreadable(source, `${JSON.stringify(word)} is not USED/TOTAL`);
  return [parseCount(source, used), parseCount(source, total)];
}

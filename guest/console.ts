/** The guest's console: kept in a file, watched for signs that the kernel is broken, summed up for people. */
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';

/** After one of these nothing that the guest says can be believed. */
const FATAL = /BUG: Bad page|BUG: unable to handle|bad p[gum4]d|Oops|Kernel panic/;
/** What tells the cause, usually far above the last lines. */
const TELLING = /BUG|Oops|WARNING|[Pp]anic/;
const TELLING_LINES = 5;
const TAIL_LINES = 40;

/** Copies the console's streams into `path` until they end. @param onFatal called with each line of a broken kernel. */
export async function followConsole(
  inputs: readonly Readable[],
  path: string,
  onFatal: (line: string) => void,
): Promise<void> {
  const log = createWriteStream(path);
  const written = finished(log);
  const follow = async (input: Readable): Promise<void> => {
    input.pipe(log, { end: false });
    for await (const line of createInterface({ input })) if (FATAL.test(line)) onFatal(withoutTime(line));
  };
  await Promise.all(inputs.map(follow));
  log.end();
  await written;
}

/** The first telling lines, when the last lines do not show them, and the last lines. Pure. */
export function summarizeConsole(text: string): string {
  const lines = text.trimEnd().split('\n');
  const early = lines.slice(0, -TAIL_LINES).filter((line) => TELLING.test(line));
  const causes = early.slice(0, TELLING_LINES);
  const head = causes.length === 0 ? [] : ['--- first signs of trouble on the guest’s console', ...causes];
  return [...head, '--- last lines of the guest’s console', ...lines.slice(-TAIL_LINES), '---', ''].join(
    '\n',
  );
}

function withoutTime(line: string): string {
  return line.replace(/^\[ *\d+\.\d+\] /, '');
}

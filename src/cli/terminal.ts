/** Where commands print, and the few shapes they print in. */
import { styleText } from 'node:util';

export interface Terminal {
  /** Writes one line or block to standard output. */
  out(text: string): void;
  /** Writes one line or block to standard error. */
  err(text: string): void;
  /** Standard output shows colours: a terminal, and NO_COLOR is not set. */
  readonly colour: boolean;
}

type Style = Parameters<typeof styleText>[0];

/** `text` in colour where the terminal shows it. */
export type Paint = (style: Style, text: string) => string;

export function painter(terminal: Terminal): Paint {
  return (style, text) => (terminal.colour ? styleText(style, text, { validateStream: false }) : text);
}

/** The process's own terminal. `hasColors` knows NO_COLOR and FORCE_COLOR (Node's tty documentation). */
export function processTerminal(): Terminal {
  const { stdout, stderr } = process;
  return {
    out: (text) => stdout.write(`${text}\n`),
    err: (text) => stderr.write(`${text}\n`),
    colour: stdout.isTTY && stdout.hasColors(),
  };
}

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Aligned columns under their titles, two spaces apart, no trailing blanks. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  paint: Paint,
): string {
  const widths = columns.map((column, index) =>
    rows.reduce((width, row) => Math.max(width, (row[index] ?? '').length), column.title.length),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) => {
        const [cell, width] = [cells[index] ?? '', widths[index] ?? 0];
        return align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const titles = line(columns.map(({ title }) => title));
  return [paint('bold', titles), ...rows.map(line)].join('\n');
}

/** `name   value` lines with the values in one column. */
export function formatFacts(facts: readonly (readonly [name: string, value: string])[]): string {
  const width = facts.reduce((widest, [name]) => Math.max(widest, name.length), 0);
  return facts.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`.trimEnd()).join('\n');
}

const BAR_WIDTH = 24;

/** A filled bar for a share between 0 and 1; anything above nothing shows at least one mark. */
export function formatBar(share: number): string {
  const marks = share <= 0 ? 0 : Math.min(BAR_WIDTH, Math.max(1, Math.floor(share * BAR_WIDTH)));
  return `[${'#'.repeat(marks)}${'-'.repeat(BAR_WIDTH - marks)}]`;
}

export function printJson(terminal: Terminal, value: unknown): void {
  terminal.out(JSON.stringify(value, undefined, 2));
}

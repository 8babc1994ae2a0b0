/** dmthin(8), from the commands themselves. Pure. Source of the format: man(7). */
import type { CommandFacts } from './command-facts.ts';
import { EXIT_CODE_MEANINGS, EXIT_CODES } from './failure.ts';

export interface ManPageOptions {
  readonly version: string;
  /** Year-month-day. */
  readonly date: string;
}

const FILES = [
  ['/etc/dmthin/config.toml', 'the configuration; dmthin config default explains every key'],
  ['/var/lib/dmthin', 'the store: one record for each snapshot'],
  ['/run/dmthin/dmthin.sock', 'where containerd connects'],
] as const;

export function renderManPage(commands: readonly CommandFacts[], { version, date }: ManPageOptions): string {
  const [program, ...rest] = commands;
  return [
    `.TH DMTHIN 8 "${date}" "dmthin ${version}" "System administration"`,
    '.SH NAME',
    `dmthin \\- ${text(program?.about.replace(/\.$/, '') ?? '')}`,
    '.SH SYNOPSIS',
    ...rest
      .filter(({ commands: below }) => below.length === 0)
      .flatMap(({ usage }) => ['.br', `.B ${text(usage)}`]),
    '.SH COMMANDS',
    ...rest.filter(({ commands: below }) => below.length === 0).flatMap(section),
    '.SH EXIT STATUS',
    ...Object.entries(EXIT_CODES).flatMap(([name, code]) => ['.TP', `.B ${code}`, text(meaningOf(name))]),
    '.SH FILES',
    ...FILES.flatMap(([path, about]) => ['.TP', `.I ${text(path)}`, text(about)]),
    '.SH SEE ALSO',
    '.BR containerd (8),',
    '.BR dmsetup (8),',
    '.BR lvmthin (7)',
    '',
  ].join('\n');
}

function section({ path, about, options }: CommandFacts): string[] {
  return [
    `.SS ${text(path)}`,
    text(about),
    ...options.flatMap((option) => ['.TP', `.B ${text(option.term)}`, text(option.about)]),
  ];
}

function meaningOf(name: string): string {
  return Object.entries(EXIT_CODE_MEANINGS).find(([other]) => other === name)?.[1] ?? '';
}

/** One line of text that troff prints as it is. */
function text(line: string): string {
  const escaped = line.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('\n', ' ');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

/** `dmthin doctor`: is everything there that dmthin needs, and what to do where it is not. */
import type { Command } from 'commander';
import { DEFAULT_CONFIG_PATH } from '../daemon/config.ts';
import { DEFAULT_CONTAINERD_CONFIG } from '../containerd/config-files.ts';
import { type CheckName, CHECK_NAMES } from '../doctor/checks.ts';
import type { Level } from '../doctor/finding.ts';
import { judge, type NamedFinding } from '../doctor/judge.ts';
import type { CliDeps } from './deps.ts';
import { EXIT_CODES, ReportedFailure } from './failure.ts';
import { type Paint, painter, printJson } from './terminal.ts';

interface DoctorOptions {
  readonly config?: string;
  readonly containerdConfig: string;
  readonly json?: boolean;
}

export function addDoctorCommand(program: Command, deps: CliDeps): void {
  program
    .command('doctor')
    .summary('check the machine, the configuration, the pool, containerd and the daemon')
    .description(
      'Checks everything that dmthin needs and changes nothing. Every line is ok, a warning or a problem, with what to do about it. docs/operations.md lists the checks. Ends with 1 when there is a problem; warnings alone end with 0.',
    )
    .option('--config <file>', `dmthin's configuration (default: ${DEFAULT_CONFIG_PATH})`)
    .option('--containerd-config <file>', "containerd's configuration", DEFAULT_CONTAINERD_CONFIG)
    .option('--json', 'print JSON')
    .action((options: DoctorOptions) => doctor(options, deps));
}

async function doctor(options: DoctorOptions, deps: CliDeps): Promise<void> {
  // It brings the store's database with it.
  const { readFacts } = await import('../doctor/read-facts.ts');
  const request = { configPath: options.config, containerdConfigPath: options.containerdConfig };
  const findings = judge(await readFacts(request, deps));
  const problems = findings.filter(({ level }) => level === 'problem');
  if (options.json === true) printJson(deps.terminal, { ok: problems.length === 0, findings });
  else deps.terminal.out(format(findings, painter(deps.terminal)));
  if (problems.length > 0) throw new ReportedFailure(EXIT_CODES.failure);
}

const STYLES = { ok: 'green', warning: 'yellow', problem: 'red' } as const satisfies Record<Level, string>;
const LEVEL_WIDTH = 'problem'.length;
const NAME_WIDTH = CHECK_NAMES.reduce((widest, name: CheckName) => Math.max(widest, name.length), 0);

function format(findings: readonly NamedFinding[], paint: Paint): string {
  const lines = findings.flatMap(({ check, level, what, remedy }) => [
    `${paint(STYLES[level], level.padEnd(LEVEL_WIDTH))}  ${check.padEnd(NAME_WIDTH)}  ${what}`,
    ...(remedy === undefined ? [] : [`${' '.repeat(LEVEL_WIDTH + NAME_WIDTH + 4)}-> ${remedy}`]),
  ]);
  const count = (level: Level): string => {
    const number = findings.filter((finding) => finding.level === level).length;
    return `${number} ${level}${number === 1 ? '' : 's'}`;
  };
  return [...lines, '', `${count('problem')}, ${count('warning')}`].join('\n');
}

/** The command line as a whole: every command, and how a run ends. */
import { Command, CommanderError } from 'commander';
import { addConfigCommands } from './config.ts';
import type { CliDeps } from './deps.ts';
import { addDoctorCommand } from './doctor.ts';
import { EXIT_CODE_MEANINGS, EXIT_CODES, printFailure, ReportedFailure, toFailure } from './failure.ts';
import { addInspectCommands } from './inspect.ts';
import { addPoolCommands } from './pool.ts';
import { addServeCommand } from './serve.ts';
import { addSnapshotsCommands } from './snapshots.ts';

export function buildProgram(deps: CliDeps): Command {
  const program = new Command('dmthin')
    .description("containerd's devmapper snapshotter as a program of its own.")
    .version(deps.version, '-V, --version', 'print the version')
    .addHelpText('after', exitCodeHelp());
  addServeCommand(program, deps);
  addPoolCommands(program, deps);
  addConfigCommands(program, deps);
  addSnapshotsCommands(program, deps);
  addDoctorCommand(program, deps);
  addInspectCommands(program, deps);
  for (const command of walk(program))
    command.helpCommand(false).helpOption('-h, --help', 'explain this command');
  return program;
}

function exitCodeHelp(): string {
  const lines = Object.entries(EXIT_CODE_MEANINGS).map(([name, meaning]) => {
    const code = Object.entries(EXIT_CODES).find(([other]) => other === name)?.[1] ?? '';
    return `  ${String(code).padStart(2)}  ${meaning}`;
  });
  return `\nExit codes:\n${lines.join('\n')}`;
}

/**
 * Runs one command line.
 * @param args without the program's own name.
 * @returns the exit code; every failure has been printed.
 */
export async function runCli(args: readonly string[], deps: CliDeps): Promise<number> {
  const program = buildProgram(deps);
  let usageHint = 'dmthin';
  for (const command of walk(program)) {
    command.exitOverride((error) => {
      usageHint = pathOf(command);
      throw error;
    });
    command.configureOutput({
      writeOut: (text) => deps.terminal.out(text.trimEnd()),
      writeErr: (text) => deps.terminal.err(text.trimEnd()),
      outputError: () => undefined,
    });
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT_CODES.ok;
  } catch (error) {
    if (error instanceof CommanderError && isHelp(error))
      return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
    if (error instanceof ReportedFailure) return error.exitCode;
    const failure = toFailure(error, usageHint);
    printFailure(failure, deps.terminal, args.includes('--json'));
    return failure.exitCode;
  }
}

/** Help and version arrive as errors too; `commander.help` is the help that a missing subcommand gets. */
function isHelp(error: CommanderError): boolean {
  return error.exitCode === 0 || error.code === 'commander.help';
}

/** The command and all below it. */
export function* walk(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* walk(child);
}

/** For example `dmthin pool create`. */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

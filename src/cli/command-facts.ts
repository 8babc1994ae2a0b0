/** The command line as data: what the man page and the shell's completion are made of. */
import { type Argument, Command, Help, type Option } from 'commander';
import { pathOf, walk } from './program.ts';

export interface OptionFacts {
  /** For example `--config <file>`. */
  readonly term: string;
  /** Every spelling, for example `-h`, `--help`. */
  readonly flags: readonly string[];
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  readonly about: string;
}

export interface CommandFacts {
  /** For example `dmthin pool create`. */
  readonly path: string;
  /** For example `dmthin pool create [options] <name>`. */
  readonly usage: string;
  readonly about: string;
  readonly commands: readonly string[];
  readonly options: readonly OptionFacts[];
}

/** Every command of `program`, each before those below it. */
export function commandFacts(program: Command): CommandFacts[] {
  const help = new Help();
  return [...walk(program)].map((command) => ({
    path: pathOf(command),
    usage: help.commandUsage(command),
    about: [help.commandDescription(command), ...help.visibleArguments(command).map(aboutArgument)].join(' '),
    commands: help.visibleCommands(command).map((child) => child.name()),
    options: help.visibleOptions(command).map((option) => optionFacts(help, option)),
  }));

  function aboutArgument(argument: Argument): string {
    return `${argument.name()}: ${help.argumentDescription(argument)}.`;
  }
}

function optionFacts(help: Help, option: Option): OptionFacts {
  return {
    term: help.optionTerm(option),
    flags: [option.short, option.long].filter((flag) => typeof flag === 'string'),
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
    about: help.optionDescription(option),
  };
}

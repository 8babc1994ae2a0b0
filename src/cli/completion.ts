/** Completion for bash, from the commands themselves. Pure. */
import type { CommandFacts, OptionFacts } from './command-facts.ts';

/**
 * A function of bash's own words (compgen, COMP_WORDS): no other package is needed. It follows the words to the command that they
 * name, then offers its commands and options; after an option with choices those, after any other with a value files.
 */
export function renderBashCompletion(commands: readonly CommandFacts[]): string {
  return `# Completion of dmthin for bash. Written by "npm run package" from the commands in src/cli.
_dmthin() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path=dmthin word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
${cases(paths(commands))}
    esac
  done
  case "$path $previous" in
${valueCases(commands)}
  esac
  case "$path" in
${commands.map(wordsCase).join('\n')}
  esac
}
complete -F _dmthin dmthin
`;
}

function paths(commands: readonly CommandFacts[]): string[] {
  return commands.map(({ path }) => path).filter((path) => path !== 'dmthin');
}

function cases(names: readonly string[]): string {
  return names.map((path) => `      '${path}') path='${path}' ;;`).join('\n');
}

function valueCases(commands: readonly CommandFacts[]): string {
  const lines = commands.flatMap(({ path, options }) =>
    options.filter(({ takesValue }) => takesValue).map((option) => valueCase(path, option)),
  );
  return lines.join('\n');
}

function valueCase(path: string, { flags, choices }: OptionFacts): string {
  const patterns = flags.map((flag) => `'${path} ${flag}'`).join(' | ');
  const offer = choices.length > 0 ? `compgen -W '${choices.join(' ')}'` : 'compgen -f';
  return `    ${patterns}) mapfile -t COMPREPLY < <(${offer} -- "$current"); return ;;`;
}

function wordsCase({ path, commands, options }: CommandFacts): string {
  const words = [...commands, ...options.flatMap(({ flags }) => flags)].join(' ');
  return `    '${path}') mapfile -t COMPREPLY < <(compgen -W '${words}' -- "$current") ;;`;
}

/** docs/cli.md: the help of every command, as the program prints it. A test holds the file equal to this. */
import type { CliDeps } from './deps.ts';
import { buildProgram, pathOf, walk } from './program.ts';

const HELP_COLUMNS = 100;

export function renderCliDocs(deps: CliDeps): string {
  const sections = [...walk(buildProgram(deps))].map((command) => {
    let help = '';
    command.configureOutput({
      getOutHelpWidth: () => HELP_COLUMNS,
      getOutHasColors: () => false,
      writeOut: (text) => {
        help += text;
      },
    });
    command.outputHelp();
    return `## ${pathOf(command)}\n\n\`\`\`text\n${help.trimEnd()}\n\`\`\`\n`;
  });
  return `# Commands

What \`--help\` prints. Written by \`node scripts/write-cli-docs.ts\`; change the commands in src/cli, not this file.

Failures go to standard error as \`dmthin: MESSAGE\` and, where there is something to do about it, a line \`next step: ...\`.
With \`--json\` they are one object, \`{"error":{"code","message","next_step","exit_code",...}}\`, whose codes docs/errors.md explains.
Colours show on a terminal only, and not when \`NO_COLOR\` is set.

${sections.join('\n')}`;
}

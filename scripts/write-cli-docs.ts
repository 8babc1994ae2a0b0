/** Writes docs/cli.md from the commands' own help. */
import { writeFile } from 'node:fs/promises';
import { renderCliDocs } from '../src/cli/cli-docs.ts';
import { processDeps } from '../src/cli/process-deps.ts';

await writeFile(new URL('../docs/cli.md', import.meta.url), renderCliDocs(processDeps()));

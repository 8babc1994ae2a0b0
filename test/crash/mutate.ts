/** Loaded before the victim (`node --import`): breaks the one source file that the mutation names, as it is loaded. */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { applyEdits, findMutation, MUTATION_VARIABLE } from './mutations.ts';

const mutation = findMutation(process.env[MUTATION_VARIABLE] ?? '');

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.startsWith('file:')) return loaded;
    const path = fileURLToPath(url);
    if (!path.endsWith(`/${mutation.file}`)) return loaded;
    return { ...loaded, source: applyEdits(readFileSync(path, 'utf8'), mutation) };
  },
});

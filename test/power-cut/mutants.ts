/** Faults that the suite must find: a line of the sources is taken out as it is loaded. */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { applyEdits, type Mutation } from '../crash/mutations.ts';

export const MUTANTS: readonly Mutation[] = [
  {
    name: 'commit-without-flush',
    breaks: 'Commit answers before the contents are on the disk',
    file: 'src/snapshotter/commit.ts',
    edits: [{ find: "await context.apply({ do: 'flush', name });", replace: '' }],
    scenarios: [],
  },
  {
    name: 'store-without-sync',
    breaks: 'the store answers before its transaction is on the disk',
    file: 'src/store/store.ts',
    edits: [{ find: 'overlappingSync: false,\n', replace: 'overlappingSync: false, noSync: true,\n' }],
    scenarios: [],
  },
];

/** From now on; what is loaded already stays. @throws Error on a name that is none. */
export function mutate(name: string): void {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant === undefined)
    throw new Error(`no mutant ${name}; there are ${MUTANTS.map((one) => one.name).join(', ')}`);
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(`/${mutant.file}`)) return loaded;
      return { ...loaded, source: applyEdits(readFileSync(fileURLToPath(url), 'utf8'), mutant) };
    },
  });
}

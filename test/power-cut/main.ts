/** The power cuts, run where device-mapper is (scripts/power-cut.ts boots the guest for it). */
import { parseArgs } from 'node:util';
import { allWords } from '../workload/callers.ts';
import { parseNatural } from '../workload/random.ts';
import { mutate } from './mutants.ts';
import { OPTIONS } from './options.ts';

const { values } = parseArgs({ options: OPTIONS });
const seed = Number(values.seed);
try {
  if (values.mutant !== undefined) mutate(values.mutant);
  // Only now: the mutant changes what is loaded.
  const { figuresOf, powerCut } = await import('./power-cut.ts');
  const result = await powerCut({
    seed,
    operations: Number(values.operations),
    between: Number(values.between),
    states: parseNatural(values.states),
    stopAtFirst: values.mutant !== undefined,
    say: (line) => console.log(line),
  });
  console.log(`${figuresOf(result)}, seed ${seed}; ${result.failed} failed`);
  process.exitCode = result.failed === 0 ? 0 : 1;
} catch (error) {
  console.log(allWords(error));
  process.exitCode = 1;
}

/** `npm run power-cut`: a power cut at every point of a workload, in the guest (`--host`: on this machine). docs/reliability.md. */
import { parseArgs } from 'node:util';
import { OPTIONS } from '../test/power-cut/options.ts';
import { freshSeed, parseNatural } from '../test/workload/random.ts';
import { runInGuest } from './in-guest.ts';
import { errorWords } from './words.ts';

const USAGE =
  'usage: npm run power-cut [-- [--seed N] [--operations N] [--between N] [--states N] [--mutant NAME] [--host]]';
const DEFAULT_OPERATIONS = 100;
const GUEST_LIMIT_S = 4 * 3600;

function readArguments(): { argv: string[]; host: boolean } | undefined {
  try {
    const { values } = parseArgs({
      options: { ...OPTIONS, host: { type: 'boolean', default: false } },
    });
    const numbers = {
      seed: parseNatural(values.seed) ?? freshSeed(),
      operations: parseNatural(values.operations) ?? DEFAULT_OPERATIONS,
      between: parseNatural(values.between) ?? 1,
      states: parseNatural(values.states),
    };
    const given = Object.entries({ ...numbers, mutant: values.mutant });
    const argv = given.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, `${value}`]));
    return { argv: ['test/power-cut/main.ts', ...argv], host: values.host };
  } catch (error) {
    console.error(`${errorWords(error)}\n${USAGE}`);
    return undefined;
  }
}

const given = readArguments();
if (given === undefined) process.exitCode = 64;
else {
  process.exitCode = await runInGuest({ ...given, timeoutS: GUEST_LIMIT_S });
  if (process.exitCode !== 0) console.log(`again: npm run power-cut -- ${given.argv.slice(1).join(' ')}`);
}

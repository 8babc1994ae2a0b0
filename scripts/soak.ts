/** `npm run soak`: kills of the daemon at random moments, in the guest (`--host`: on this machine). docs/reliability.md. */
import { parseArgs } from 'node:util';
import { freshSeed, parseNatural } from '../test/workload/random.ts';
import { runInGuest } from './in-guest.ts';
import { errorWords } from './words.ts';

const USAGE = 'usage: npm run soak [-- [--seed N] [--rounds N] [--host]]';
const DEFAULT_ROUNDS = 100;
/** Several times what a round takes. */
const ROUND_LIMIT_S = 60;

interface Options {
  readonly seed: number;
  readonly rounds: number;
  readonly host: boolean;
}

function readOptions(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string' },
        rounds: { type: 'string' },
        host: { type: 'boolean', default: false },
      },
    });
    return {
      seed: parseNatural(values.seed) ?? freshSeed(),
      rounds: parseNatural(values.rounds) ?? DEFAULT_ROUNDS,
      host: values.host,
    };
  } catch (error) {
    console.error(`${errorWords(error)}\n${USAGE}`);
    return undefined;
  }
}

const options = readOptions();
if (options === undefined) process.exitCode = 64;
else {
  const { seed, rounds, host } = options;
  const argv = ['test/soak/main.ts', '--seed', String(seed), '--rounds', String(rounds)];
  process.exitCode = await runInGuest({ argv, host, timeoutS: 300 + rounds * ROUND_LIMIT_S });
  if (process.exitCode !== 0) console.log(`again: npm run soak -- --seed ${seed} --rounds ${rounds}`);
}

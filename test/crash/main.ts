/** Inside the guest: the suite as a program. Exit code 0: every crash was survived, or every mutation noticed. */
import { parseArgs } from 'node:util';
import { QUICK_EVERY, runCrashes, runMutations } from './suite.ts';

const USAGE =
  'usage: npm run crash [-- [--quick] [--offset N] [--trace] [SCENARIO...] | --mutations [MUTATION...]]';

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        mutations: { type: 'boolean', default: false },
        offset: { type: 'string' },
        trace: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(64);
  }
}

const { values, positionals } = options();
const say = (line: string): void => console.log(line);
if (values.mutations) {
  const outcomes = await runMutations(positionals, say);
  process.exitCode = outcomes.every(({ noticed }) => noticed !== undefined) ? 0 : 1;
} else {
  const every = values.quick ? QUICK_EVERY : 1;
  const offset = Number(values.offset ?? Math.floor(Math.random() * every));
  if (values.quick)
    say(`every ${every}th crash, from number ${offset} on (once more: --quick --offset ${offset})`);
  const { failures, kills } = await runCrashes(
    { every, offset, scenarios: positionals, trace: values.trace },
    say,
  );
  process.exitCode = failures.length === 0 && kills > 0 ? 0 : 1;
}

/** The soak, run where device-mapper is (scripts/soak.ts boots the guest for it). */
import { parseArgs } from 'node:util';
import { soak } from './soak.ts';

const { values } = parseArgs({ options: { seed: { type: 'string' }, rounds: { type: 'string' } } });
const [seed, rounds] = [Number(values.seed), Number(values.rounds)];
const result = await soak({ seed, rounds, say: (line) => console.log(line) });
const failed = result.problems.length === 0 ? 0 : 1;
console.log(
  `${result.rounds} rounds, ${result.kills} kills, ${result.acknowledged} operations acknowledged, seed ${seed}; ${failed} failed`,
);
process.exitCode = failed;

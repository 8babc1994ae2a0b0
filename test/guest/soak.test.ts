/** A few rounds of the soak; `npm run soak` runs hundreds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soak } from '../soak/soak.ts';
import { freshSeed } from '../workload/random.ts';

test('the daemon is killed at random moments: what was acknowledged is there with its contents, and nothing else', async (t) => {
  const seed = freshSeed();
  const { rounds, kills, acknowledged, problems } = await soak({ seed, rounds: 4, say: () => undefined });
  const figures = `${rounds} rounds, ${kills} kills, ${acknowledged} operations acknowledged, seed ${seed}`;
  t.diagnostic(figures);
  assert.deepEqual(problems, [], `${figures}\nagain: npm run soak -- --seed ${seed}`);
});

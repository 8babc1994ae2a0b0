/** Some power cuts of `npm run power-cut`, which makes hundreds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figuresOf, powerCut } from '../power-cut/power-cut.ts';
import { freshSeed } from '../workload/random.ts';

test('power cuts at flushes, at FUAs and in between: what was acknowledged is there with its contents', async (t) => {
  const seed = freshSeed();
  const options = { operations: 40, between: 1, states: 24, stopAtFirst: false };
  const result = await powerCut({ ...options, seed, say: () => undefined });
  const figures = `${figuresOf(result)}, seed ${seed}`;
  t.diagnostic(figures);
  assert.deepEqual(
    result.problems,
    [],
    `${figures}\nagain: npm run power-cut -- --seed ${seed} --operations 40`,
  );
});

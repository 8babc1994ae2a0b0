/** The crash suite in its quick form: every ninth crash, others each time. All of it: `npm run crash`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUICK_EVERY, runCrashes, runMutations } from '../crash/suite.ts';

test('killed at a ninth of all points: the next start serves, and nothing is lost or left', async (t) => {
  const offset = Math.floor(Math.random() * QUICK_EVERY);
  t.diagnostic(`these crashes once more: npm run crash -- --quick --offset ${offset}`);
  const lines: string[] = [];
  const { failures, kills } = await runCrashes({ every: QUICK_EVERY, offset }, (line) => lines.push(line));
  assert.deepEqual(failures, [], lines.join('\n'));
  assert.ok(kills > 0);
  t.diagnostic(lines.at(-1) ?? '');
});

test('the suite can fail: it notices a recovery that forgets a creation without deleting its device', async () => {
  const [outcome] = await runMutations(['no-undo'], () => undefined);
  assert.match(
    outcome?.noticed?.problems.join('\n') ?? '',
    /device \d+ is in the pool, and no record has it/,
  );
});

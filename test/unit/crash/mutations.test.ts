/** The crash suite breaks sources on purpose: when a source changes, the mutation that breaks it must follow. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { applyEdits, MUTATIONS } from '../../crash/mutations.ts';
import { SCENARIOS } from '../../crash/scenarios.ts';

const root = join(import.meta.dirname, '../../..');

for (const mutation of MUTATIONS) {
  test(`${mutation.name} still has its place in ${mutation.file}`, () => {
    const source = readFileSync(join(root, mutation.file), 'utf8');
    assert.notEqual(applyEdits(source, mutation), source);
    for (const name of mutation.scenarios)
      assert.ok(
        SCENARIOS.some((scenario) => scenario.name === name),
        name,
      );
  });
}

test('an edit without exactly one place is an error', () => {
  const mutation = { name: 'm', breaks: '', file: 'f', edits: [{ find: 'a', replace: 'b' }], scenarios: [] };
  assert.equal(applyEdits('cat', mutation), 'cbt');
  assert.throws(() => applyEdits('dog', mutation), /0 times in f/);
  assert.throws(() => applyEdits('aa', mutation), /2 times in f/);
});

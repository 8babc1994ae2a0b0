/** The power cuts are tried on sources broken on purpose: when a source changes, its mutant must follow. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { applyEdits } from '../../crash/mutations.ts';
import { MUTANTS } from '../../power-cut/mutants.ts';

for (const mutant of MUTANTS) {
  test(`${mutant.name} still has its place in ${mutant.file}`, () => {
    const source = readFileSync(join(import.meta.dirname, '../../..', mutant.file), 'utf8');
    assert.notEqual(applyEdits(source, mutant), source);
  });
}

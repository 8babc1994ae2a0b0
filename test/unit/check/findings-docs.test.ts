/** docs/operations.md and the code have the same kinds of findings. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FINDINGS } from '../../../src/check/findings.ts';

test('the table of docs/operations.md has every kind of finding with its meaning and remedy', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/operations.md'), 'utf8');
  const table = text.slice(text.indexOf('| finding '), text.indexOf('Who: `recovery`'));
  const rows = [...table.matchAll(/^\| `([\w-]+)` *\| (.*?) *\| (\w+) *\| (.*?) *\|$/gm)].map(
    ([, kind, means, by, remedy]) => [kind, { means, by, remedy }],
  );
  assert.deepEqual(
    rows,
    Object.entries(FINDINGS).map(([kind, { means, by, remedy }]) => [kind, { means, by, remedy }]),
  );
});

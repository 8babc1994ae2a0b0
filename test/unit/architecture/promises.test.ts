/** The tests that docs/testing.md names are there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('every promise of docs/testing.md names tests that exist', () => {
  const rows = read('docs/testing.md')
    .split('\n')
    .filter((line) => /^\| \d+ +\|/.test(line));
  assert.equal(rows.length, 14, 'one row for each complaint');
  for (const row of rows) {
    const held = row.split('|').at(-2) ?? '';
    const tests = [...held.matchAll(/`(test\/[^`]+)` ([^·]+)/g)];
    assert.ok(tests.length > 0, row);
    for (const [, file = '', title = ''] of tests) {
      const source = read(file).replaceAll("\\'", "'");
      assert.ok(source.includes(title.trim()), `${file} has no test "${title.trim()}"`);
    }
  }
});

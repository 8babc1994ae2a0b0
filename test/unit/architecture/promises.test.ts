/** The tests that docs/testing.md names are there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('every promise of docs/testing.md names tests that exist', () => {
  const [, promises = ''] = read('docs/testing.md').split('## Promises');
  const items = promises.split(/^\d+\. /m).slice(1);
  assert.equal(items.length, 14, 'one item for each complaint');
  for (const item of items) {
    const tests = [...item.matchAll(/^ +- `(test\/[^`]+)` (.+)$/gm)];
    assert.ok(tests.length > 0, item);
    for (const [, file = '', title = ''] of tests) {
      const source = read(file).replaceAll("\\'", "'");
      assert.ok(source.includes(title), `${file} has no test "${title}"`);
    }
  }
});

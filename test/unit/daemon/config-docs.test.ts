import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { CONFIG_KEYS, type KeyExplanation } from '../../../src/daemon/read-config-keys.ts';

it('docs/configuration.md has every key in order, with its default and its origin', async () => {
  const text = await readFile(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
  const sections = text.split(/^### /m).slice(1);
  const documented = sections.map((section) => ({
    key: section.split('\n', 1)[0],
    original: section.includes('_Original._'),
    value:
      /^Default: `(.*)`$/m.exec(section)?.[1] ??
      /^(Required|Unset by default, for example `.*`)\.$/m.exec(section)?.[0],
  }));
  const known = Object.entries<KeyExplanation>(CONFIG_KEYS).map(
    ([key, { original, required, unset, value }]) => ({
      key,
      original,
      value: required ? 'Required.' : unset === true ? `Unset by default, for example \`${value}\`.` : value,
    }),
  );
  assert.deepEqual(documented, known);
});

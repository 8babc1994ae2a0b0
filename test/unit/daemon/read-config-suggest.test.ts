import assert from 'node:assert/strict';
import { it } from 'node:test';
import { suggest } from '../../../src/daemon/read-config-suggest.ts';

const words = ['pool_name', 'root_path', 'fs_type', 'fs_options'];

for (const [word, expected] of [
  ['pool_nam', 'pool_name'],
  ['poolname', 'pool_name'],
  ['PoolName', 'pool_name'],
  ['root-path', 'root_path'],
  ['rootdir', undefined],
  ['fs_tpye', 'fs_type'],
  ['zork', undefined],
  ['', undefined],
] as const) {
  it(`suggests ${expected ?? 'nothing'} for ${JSON.stringify(word)}`, () => {
    assert.equal(suggest(word, words), expected);
  });
}

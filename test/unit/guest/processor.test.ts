import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { allowedProcessors, claimProcessor } from '../../../guest/processor.ts';

describe('processors of guests', () => {
  it('gives each guest one of its own, and one again when it is given back', () => {
    const directory = join(mkdtempSync(join(tmpdir(), 'processors-')), 'made');
    const first = claimProcessor([3, 5], directory);
    const second = claimProcessor([3, 5], directory);
    assert.deepEqual([first?.number, second?.number], [3, 5]);
    assert.equal(claimProcessor([3, 5], directory), undefined);
    first?.[Symbol.dispose]();
    using again = claimProcessor([3, 5], directory);
    assert.equal(again?.number, 3);
    second?.[Symbol.dispose]();
  });

  it('reads which of them a process may use', () => {
    assert.deepEqual(allowedProcessors('Name:\tx\nCpus_allowed_list:\t0-2,8\nMems:\t0\n'), [0, 1, 2, 8]);
    assert.deepEqual(allowedProcessors('Cpus_allowed_list:\t4\n'), [4]);
    assert.deepEqual(allowedProcessors('nothing of it'), []);
  });
});

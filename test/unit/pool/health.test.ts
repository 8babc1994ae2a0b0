import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytes, dmName, sectors } from '../../../src/base/units.ts';
import { parsePoolStatus } from '../../../src/dm/status.ts';
import { DEFAULT_FLOORS, type Floors, type PoolUse, requireUsable } from '../../../src/pool/health.ts';

const POOL = dmName('p');
const BLOCK = 64 * 1024;

function use(how: PoolUse, data: string, metadata: string, floors: Floors = DEFAULT_FLOORS): void {
  const params = `0 ${metadata} ${data} - rw discard_passdown queue_if_no_space - 1024`;
  const line = { start: sectors(0), length: sectors(8), target: 'thin-pool', params };
  requireUsable('Prepare', POOL, parsePoolStatus(POOL, [line]), how, floors, BLOCK);
}

const refused = (message: RegExp) => ({ code: 'resource_exhausted', message });

describe('the floors', () => {
  it('are shares of data and metadata', () => {
    use('allocate', '980/1000', '950/1000');
    assert.throws(() => use('allocate', '981/1000', '0/1000'), refused(/only 1\.9% of the thin pool's data/));
    assert.throws(
      () => use('allocate', '0/1000', '951/1000'),
      refused(/only 4\.9% of the thin pool's metadata/),
    );
  });

  it('are sizes, of blocks of the pool and of metadata blocks of 4 KiB', () => {
    const floors = { data: { bytes: bytes(100 * BLOCK) }, metadata: { bytes: bytes(100 * 4096) } };
    use('allocate', '900/1000', '900/1000', floors);
    assert.throws(
      () => use('allocate', '901/1000', '0/1000', floors),
      refused(/only 6\.1 MiB .*data.* the 6\.2 MiB to keep/),
    );
    assert.throws(() => use('allocate', '0/1000', '901/1000', floors), refused(/only 396 KiB .*metadata/));
  });

  it('hold for what takes space alone', () => {
    use('read', '1000/1000', '1000/1000');
    use('change', '1000/1000', '1000/1000');
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytes, dmName, sectors } from '../../../src/base/units.ts';
import { type HealthyPoolStatus, parsePoolStatus } from '../../../src/dm/status.ts';
import { lowLevel, nextSize } from '../../../src/pool/space.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Blocks of 64 KiB. */
function status(data: string, metadata = '10/4096'): HealthyPoolStatus {
  const params = `0 ${metadata} ${data} - rw discard_passdown queue_if_no_space - 1024`;
  const line = { start: sectors(0), length: sectors(8), target: 'thin-pool', params };
  const parsed = parsePoolStatus(dmName('p'), [line]);
  assert.ok(parsed.kind === 'ok');
  return parsed;
}

const next = (data: string, max?: number) =>
  nextSize('data', status(data), sectors(128), max === undefined ? undefined : bytes(max));

describe('room in a pool', () => {
  it('is low below 20, 10, 5 and 2 percent', () => {
    const levels = ['800/1000', '801/1000', '901/1000', '951/1000', '981/1000', '1000/1000'];
    assert.deepEqual(
      levels.map((used) => lowLevel(status(used), 'data')),
      [0, 1, 2, 3, 4, 4],
    );
    assert.equal(lowLevel(status('0/1000', '900/1000'), 'metadata'), 1);
    assert.equal(lowLevel(status('0/0'), 'data'), 4);
  });

  it('grows by a quarter, in whole MiB, up to the limit', () => {
    assert.equal(next('1/16384', 2 * GIB), 1.25 * GIB);
    assert.equal(next('1/16385', 2 * GIB), 1.25 * GIB + MIB);
    assert.equal(next('1/16384', 1.125 * GIB), 1.125 * GIB);
    assert.equal(next('1/16384', GIB), undefined);
    assert.equal(next('1/16384', GIB + 65_535), undefined, 'not a whole block');
    assert.equal(next('1/16384', GIB / 2), undefined, 'already past it');
    assert.equal(next('1/16384'), undefined, 'no limit, no growth');
  });

  it('gives metadata half as much again, up to what the kernel uses', () => {
    const of = (total: number) => nextSize('metadata', status('0/1', `0/${total}`), sectors(128), undefined);
    assert.equal(of(512), 3 * MIB);
    assert.equal(of(4_000_000), 33_292_800 * 512);
    assert.equal(of(4_161_600), undefined);
  });
});

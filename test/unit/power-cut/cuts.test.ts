/** Which states a disk with a cache may be found in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countUncertain, planCuts } from '../../power-cut/cuts.ts';
import type { LogEntry } from '../../power-cut/log.ts';
import { createRandom } from '../../workload/random.ts';

const write = (offset: number, fua = false): LogEntry => ({
  kind: 'write',
  offset,
  length: 8192,
  fua,
  dataAt: 0,
});
const flush: LogEntry = { kind: 'flush' };
const LOG: readonly LogEntry[] = [
  write(0),
  flush,
  { kind: 'mark', name: 'begin' },
  write(8192, true),
  write(16384),
  write(24576),
  flush,
  flush,
];

test('each flush and each FUA is a state, and between flushes some of what was unflushed is there', () => {
  const cuts = planCuts(LOG, 2, 3, createRandom(1));
  assert.deepEqual(
    cuts.map(({ kind, durable }) => [kind, durable]),
    [
      ['fua', 4],
      ['between', 4],
      ['between', 4],
      ['between', 4],
      ['flush', 7],
      ['flush', 8],
    ],
  );
  assert.deepEqual(cuts, planCuts(LOG, 2, 3, createRandom(1)), 'the same seed, the same states');
});

test('what is kept lies within unflushed writes, in their order', () => {
  const kept = planCuts(LOG, 2, 200, createRandom(2)).filter(({ kind }) => kind === 'between');
  const sizes = new Set<number>();
  for (const { pieces } of kept) {
    sizes.add(pieces.reduce((sum, { length }) => sum + length, 0));
    assert.deepEqual(
      pieces.map(({ entry }) => entry),
      pieces.map(({ entry }) => entry).toSorted(),
    );
    for (const { entry, from, length } of pieces) {
      assert.ok(entry === 4 || entry === 5);
      assert.ok(from + length <= 8192);
    }
  }
  assert.deepEqual(
    [...sizes].toSorted((a, b) => a - b),
    [0, 4096, 8192, 12288, 16384],
  );
});

test('a write after one with FUA to the same place is uncertain until a flush', () => {
  assert.equal(countUncertain(LOG.slice(2)), 0);
  assert.equal(countUncertain([write(0, true), write(4096), flush]), 1);
  assert.equal(countUncertain([write(0, true), flush, write(4096), flush]), 0);
});

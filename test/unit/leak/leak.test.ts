import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findGrowth, type Sample } from '../../leak/leak.ts';

const samples = (of: (index: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 20 }, (_, index) => ({
    ...{ operations: index, seconds: index, rssMiB: 100, descriptors: 30, threads: 25 },
    ...of(index),
  }));

test('growth is told from warming up and from noise', () => {
  assert.deepEqual(findGrowth(samples(() => ({}))), []);
  assert.deepEqual(
    findGrowth(samples((index) => ({ rssMiB: index < 5 ? 80 + index : 100 + (index % 3) }))),
    [],
  );
  assert.deepEqual(findGrowth(samples((index) => ({ rssMiB: 100 + index }))), [
    'memory (MiB) grew from 109 to 119',
  ]);
  assert.deepEqual(findGrowth(samples((index) => ({ descriptors: index === 19 ? 31 : 30 }))), [
    'file descriptors grew from 30 to 31',
  ]);
  assert.deepEqual(findGrowth(samples((index) => ({ threads: 20 + index }))), ['threads grew from 29 to 39']);
});

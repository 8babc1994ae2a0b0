import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPoints, groupPoints } from '../../crash/points.ts';

test('points share a crash only while nothing is under way between them', () => {
  const trace = [
    'before transaction intent',
    'after transaction intent',
    'before step activate',
    'before ioctl create',
    'after ioctl create',
    'before ioctl load',
    'after ioctl load',
    'after step activate',
    'before transaction active',
    'after transaction active',
  ];
  assert.deepEqual(groupPoints(trace), [[1], [2, 3, 4], [5], [6], [7], [8, 9], [10]]);
});

test('a point reached while something else is under way is a crash of its own', () => {
  const trace = [
    'before ioctl create',
    'before transaction active',
    'after ioctl create',
    'after transaction active',
    'before step delete',
  ];
  assert.deepEqual(groupPoints(trace), [[1], [2], [3], [4, 5]]);
});

test('a step that writes to the disk itself is work; programs share with nobody', () => {
  assert.deepEqual(groupPoints(['before step flush', 'after step flush', 'before step confirm']), [
    [1],
    [2, 3],
  ]);
  assert.deepEqual(
    groupPoints([
      'after step confirm',
      'during program mkfs.ext4',
      'after program mkfs.ext4',
      'before step flush',
    ]),
    [[1], [2], [3], [4]],
  );
});

test('the armed point is where the victim dies, counted from the order; the trace is told before', () => {
  const told: string[] = [];
  const points = createPoints({ tell: (line) => told.push(line), die: () => told.push('dead') });
  points.reached('before step delete');
  points.arm(2);
  points.reached('after step delete');
  points.reached('before step confirm');
  assert.deepEqual(told, [
    'point before step delete',
    'point after step delete',
    'point before step confirm',
    'dead',
  ]);
});

test('who reaches a held point stays there, once', async () => {
  const told: string[] = [];
  const points = createPoints({ tell: (line) => told.push(line), die: () => undefined });
  points.hold('before ioctl load');
  let went = false;
  void points.before('ioctl load').then(() => (went = true));
  await points.before('ioctl load');
  assert.equal(went, false);
  assert.deepEqual(told, ['point before ioctl load', 'held', 'point before ioctl load']);
});

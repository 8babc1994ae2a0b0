/** The pure parts of the benchmark: what it says must follow from what it measured. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawChart } from '../../bench/chart.ts';
import { parseTrace } from '../../bench/counts.ts';
import { createRecorder, percentile, type Row, rowOf } from '../../bench/rows.ts';
import { formatTable } from '../../bench/table.ts';

const row = (more: Partial<Row>): Row => ({
  ...{ operation: 'Stat', target: 'builtin', callers: 1, n: 10, p50Ms: 1, p95Ms: 2, p99Ms: 3 },
  ...{ opsPerSecond: 1000, processes: null, fsyncs: null, ioctls: null },
  ...more,
});

describe('rows', () => {
  it('take percentiles by the nearest rank', () => {
    const samples = [5, 1, 4, 2, 3];
    assert.deepEqual(
      [0, 0.2, 0.21, 0.5, 0.95, 1].map((share) => percentile(samples, share)),
      [1, 1, 2, 3, 5, 5],
    );
    assert.ok(Number.isNaN(percentile([], 0.5)));
  });

  it('count operations a second by the median round', () => {
    const series = createRecorder().series('Stat', 'direct', 32);
    series.times.push(1, 2, 3);
    series.perCall.push(2, 4, 1000);
    assert.deepEqual(rowOf(series, { processes: 0, fsyncs: 2, ioctls: 7.5 }), {
      ...row({ target: 'direct', callers: 32, n: 3, p50Ms: 2, p95Ms: 3, p99Ms: 3, opsPerSecond: 250 }),
      ...{ processes: 0, fsyncs: 2, ioctls: 7.5 },
    });
  });

  it('keep one series for each operation, target and number of callers', () => {
    const recorder = createRecorder();
    assert.equal(recorder.series('Stat', 'direct', 1), recorder.series('Stat', 'direct', 1));
    assert.notEqual(recorder.series('Stat', 'direct', 1), recorder.series('Stat', 'direct', 32));
    assert.equal(recorder.all.length, 2);
  });
});

describe('the trace', () => {
  it('counts programs started, flushes and device-mapper calls, each once', () => {
    const trace = [
      '12 execve("/sbin/dmsetup", ["dmsetup"], 0x7 /* 9 vars */) = 0',
      '12 execve("/usr/bin/dmsetup", ["dmsetup"], 0x7) = -1 ENOENT (No such file or directory)',
      '13 execve("/sbin/mkfs.ext4", ["mkfs.ext4"], 0x7 <unfinished ...>',
      '13 <... execve resumed>) = 0',
      '14 fdatasync(21 <unfinished ...>',
      '14 <... fdatasync resumed>) = 0',
      '14 fsync(3) = 0',
      '15 ioctl(4, DM_DEV_CREATE, {version=4.0.0}) = 0',
      '15 ioctl(4, DM_TABLE_LOAD, {version=4.0.0} <unfinished ...>',
      '15 <... ioctl resumed>) = 0',
      '16 ioctl(1, TCGETS, 0x7fb) = -1 ENOTTY (Inappropriate ioctl for device)',
    ].join('\n');
    assert.deepEqual(parseTrace(trace), { processes: 2, fsyncs: 2, ioctls: 2 });
  });
});

describe('the table', () => {
  it('sets every figure beside its goal, with ratio and counts', () => {
    const table = formatTable(
      [
        row({ p50Ms: 40, processes: 3, fsyncs: 12, ioctls: 8 }),
        row({ target: 'dmthin', p50Ms: 4 }),
        row({ target: 'direct', p50Ms: 2.5, processes: 0, fsyncs: 0, ioctls: 0.5 }),
        row({ operation: 'Remove', target: 'direct', callers: 32, opsPerSecond: 99.6 }),
      ],
      8,
    );
    const cells = table
      .split('\n')
      .slice(2)
      .map((line) => line.split('|').map((cell) => cell.trim()));
    assert.deepEqual(cells, [
      ['', 'Remove', '32', '', '', '100/s', '', '≥ 100/s', '', '', '', '', '', ''],
      ['', 'Stat', '1', '40', '4', '2.5', '', '≤ 3', '10.0', '4.0', '3 → 0', '12 → 0', '8 → 0.5', ''],
    ]);
  });
});

describe('the chart', () => {
  it('shows what both have, and says the figures', () => {
    const svg = drawChart(
      [row({ p50Ms: 40 }), row({ target: 'dmthin', p50Ms: 4 }), row({ operation: 'Commit', p50Ms: 9 })],
      'p50 < 5 & so on',
    );
    assert.match(svg, /40 ms/);
    assert.match(svg, /4\.0 ms/);
    assert.match(svg, /p50 &lt; 5 &amp; so on/);
    assert.doesNotMatch(svg, /Commit/);
  });
});

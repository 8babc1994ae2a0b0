import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { followConsole, summarizeConsole } from '../../../guest/console.ts';

describe('the guest’s console', () => {
  it('is kept whole, and the lines of a broken kernel are told', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'dmthin-test-'));
    const path = join(directory.path, 'console.log');
    const told: string[] = [];
    const text = [
      'Checking ptrace...OK',
      '[    1.000000] WARNING: at mm/x.c:1',
      '[    6.430000] BUG: Bad page map in process node  pte:02515061',
      '[   12.300000] Kernel panic - not syncing: Segfault',
      '',
    ].join('\n');
    await followConsole([Readable.from([text]), Readable.from(['other\n'])], path, (line) => told.push(line));
    assert.deepEqual(told, [
      'BUG: Bad page map in process node  pte:02515061',
      'Kernel panic - not syncing: Segfault',
    ]);
    const kept = await readFile(path, 'utf8');
    assert.ok(kept.includes(text) && kept.includes('other\n'), kept);
  });

  it('is summed up by its first signs of trouble and its end', () => {
    const lines = Array.from({ length: 100 }, (_, n) => (n % 10 === 3 ? `BUG: number ${n}` : `line ${n}`));
    const summary = summarizeConsole(lines.join('\n')).split('\n');
    assert.deepEqual(
      summary.slice(1, 7),
      [3, 13, 23, 33, 43].map((n) => `BUG: number ${n}`).concat('--- last lines of the guest’s console'),
    );
    assert.deepEqual(summary.slice(7), [...lines.slice(60), '---', '']);
  });

  it('is not said twice when its end tells all', () => {
    assert.deepEqual(summarizeConsole('start\nKernel panic\n').split('\n'), [
      '--- last lines of the guest’s console',
      'start',
      'Kernel panic',
      '---',
      '',
    ]);
  });
});

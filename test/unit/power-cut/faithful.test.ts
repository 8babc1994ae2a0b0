import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireFaithful } from '../../power-cut/faithful.ts';
import type { LogEntry } from '../../power-cut/log.ts';

const write = (offset: number, length: number, dataAt: number): LogEntry => ({
  kind: 'write',
  offset,
  length,
  fua: false,
  dataAt,
});
const [FILL, SMALL] = [write(0, 8, 0), write(2, 2, 8)];
const DISCARD: LogEntry = { kind: 'discard', offset: 6, length: 2, fua: false, dataAt: 0 };

test('a log that is in order makes the disk, one that is not is found out', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'faithful-'));
  t.after(() => rm(directory, { recursive: true }));
  const [logPath, diskPath] = [join(directory, 'log'), join(directory, 'disk')];
  await writeFile(logPath, 'aaaaaaaabb');
  await writeFile(diskPath, 'aabbaa\0\0');
  const of = (...log: LogEntry[]): Promise<void> => requireFaithful({ log, logPath, diskPath, diskBytes: 8 });
  await of(FILL, { kind: 'flush' }, SMALL, { kind: 'mark', name: '1' }, DISCARD);
  await assert.rejects(of(SMALL, { kind: 'flush' }, FILL, DISCARD), /not in the order.* byte 2/);
  await assert.rejects(of(FILL, SMALL), /byte 6/);
  await assert.rejects(requireFaithful({ log: [], logPath, diskPath, diskBytes: 9 }), /too early/);
});

/** The log of log-writes, as the kernel's documentation and drivers/md/dm-log-writes.c lay it out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeEntry, decodeHead } from '../../power-cut/log.ts';

function sectorOf(...fields: readonly number[]): Buffer {
  const sector = Buffer.alloc(512);
  fields.forEach((field, index) => sector.writeBigUInt64LE(BigInt(field), index * 8));
  return sector;
}

test('the head tells how many entries there are', () => {
  const sector = sectorOf(0, 1, 7, 512);
  sector.writeBigUInt64LE(0x6a736677736872n, 0);
  assert.deepEqual(decodeHead(sector), { entries: 7, sectorBytes: 512 });
  assert.throws(() => decodeHead(Buffer.alloc(512)), /no log/);
});

test('a write is followed by its data, everything else by the next entry', () => {
  const fields = { offset: 4096, length: 1024, dataAt: 1536 };
  assert.deepEqual(decodeEntry(sectorOf(8, 2, 0, 0), 1024), {
    entries: [{ kind: 'write', fua: false, ...fields }],
    next: 2560,
  });
  assert.deepEqual(decodeEntry(sectorOf(8, 2, 2 | 16, 0), 1024), {
    entries: [{ kind: 'write', fua: true, ...fields }],
    next: 2560,
  });
  assert.deepEqual(decodeEntry(sectorOf(8, 2, 4, 0), 1024), {
    entries: [{ kind: 'discard', fua: false, ...fields }],
    next: 1536,
  });
  assert.deepEqual(decodeEntry(sectorOf(0, 0, 1, 0), 1024), { entries: [{ kind: 'flush' }], next: 1536 });
});

test('a mark carries its name', () => {
  const sector = sectorOf(0, 0, 8, 3);
  sector.write('abc', 32);
  assert.deepEqual(decodeEntry(sector, 512), { entries: [{ kind: 'mark', name: 'abc' }], next: 1024 });
});

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { identifyDisk } from '../../../src/dm/identify-disk.ts';

test('a disk is told from the one that had its number before, where the kernel counts them', async () => {
  const sys = await mkdtemp(join(tmpdir(), 'dmthin-sys-'));
  try {
    assert.equal(await identifyDisk('254:2', sys), '254:2');
    const directory = join(sys, 'dev/block/254:2');
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'diskseq'), '52\n');
    assert.equal(await identifyDisk('254:2', sys), '254:2 #52');
  } finally {
    await rm(sys, { recursive: true });
  }
});

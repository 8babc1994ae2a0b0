/** The pure parts, and the superblock reader on real images made by the real mkfs programs (no root, no device). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mkfsArguments } from '../../../src/filesystem/format-base.ts';
import { parseRecordedErrors, parseUsedInodes, readSuperblock } from '../../../src/filesystem/superblock.ts';
import { FS_TYPES } from '../../../src/filesystem/types.ts';

test('mkfs options: ours by default, -E for ext as in the original, mkfs arguments for all', () => {
  assert.deepEqual(mkfsArguments({ fsType: 'ext4', fsOptions: '' }), [
    '-E',
    'nodiscard,lazy_itable_init=0,lazy_journal_init=0',
  ]);
  assert.deepEqual(mkfsArguments({ fsType: 'ext4', fsOptions: 'nodiscard' }), ['-E', 'nodiscard']);
  assert.deepEqual(mkfsArguments({ fsType: 'xfs', fsOptions: 'nodiscard' }), ['-K']);
  assert.deepEqual(mkfsArguments({ fsType: 'xfs', fsOptions: ' -m reflink=0  -K ' }), [
    '-m',
    'reflink=0',
    '-K',
  ]);
  assert.deepEqual(mkfsArguments({ fsType: 'ext2', fsOptions: '-N 100' }), ['-N', '100']);
});

for (const fsType of FS_TYPES) {
  test(`used inodes of a fresh ${fsType}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'dmthin-fs-'));
    try {
      const image = join(directory, 'image');
      writeFileSync(image, '');
      truncateSync(image, 320 * 1024 * 1024);
      execFileSync(`mkfs.${fsType}`, ['-q', image]);
      // ext: ten reserved inodes and lost+found; xfs: root and the two realtime inodes.
      assert.equal((await readSuperblock(image)).usedInodes, fsType === 'xfs' ? 3 : 11);
      assert.equal((await readSuperblock(image)).recordedErrors, 0);
      if (fsType === 'xfs') return;
      execFileSync('debugfs', ['-w', '-R', 'set_super_value state 2', image], { stdio: 'ignore' });
      assert.equal((await readSuperblock(image)).recordedErrors, 1, 'ext marks that there were errors');
      execFileSync('debugfs', ['-w', '-R', 'set_super_value error_count 7', image], { stdio: 'ignore' });
      assert.equal((await readSuperblock(image)).recordedErrors, 7, 'and counts them');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

test('anything else is not taken for a filesystem', () => {
  assert.equal(parseUsedInodes(Buffer.alloc(4096)), undefined);
  assert.equal(parseUsedInodes(Buffer.alloc(4096, 0xff)), undefined);
  assert.equal(parseRecordedErrors(Buffer.alloc(4096, 0xff)), 0);
});

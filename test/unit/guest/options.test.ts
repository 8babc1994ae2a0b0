import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDisks, parseKernelChoice, parseOptions } from '../../../guest/options.ts';
import { hasCode } from '../../../src/base/errors.ts';

const refused = (error: unknown): boolean => hasCode(error, 'invalid_argument');

describe('guest command line', () => {
  it('takes everything after the command as its arguments, flags included', () => {
    const options = parseOptions(['--host', 'ls', '--help', '--', '-l'], {});
    assert.notEqual(options, 'help');
    if (options === 'help') return;
    assert.deepEqual(options.command, ['ls', '--help', '--', '-l']);
    assert.equal(options.onHost, true);
  });

  it('lets -- end its own options', () => {
    const options = parseOptions(['--', '--host'], {});
    assert.notEqual(options, 'help');
    if (options === 'help') return;
    assert.deepEqual(options.command, ['--host']);
    assert.equal(options.onHost, false);
  });

  it('answers --help, and refuses unknown options and a missing command', () => {
    assert.equal(parseOptions(['--help', 'ls'], {}), 'help');
    assert.throws(() => parseOptions(['--hots', 'ls'], {}), refused);
    assert.throws(() => parseOptions([], {}), refused);
    assert.throws(() => parseOptions(['--'], {}), refused);
  });
});

describe('guest settings from the environment', () => {
  it('has defaults, also for empty variables', () => {
    for (const env of [{}, { DMTHIN_GUEST_TIMEOUT: '', DMTHIN_GUEST_MEM: '', DMTHIN_GUEST_KEEP: '' }]) {
      assert.deepEqual(parseOptions(['true'], env), {
        command: ['true'],
        onHost: false,
        kernel: { kind: 'auto' },
        timeoutMs: 600_000,
        memoryBytes: undefined,
        diskBytes: 16 * 1024 ** 3,
        disks: [],
        keep: false,
      });
    }
  });

  it('reads sizes, seconds and flags', () => {
    const options = parseOptions(['true'], {
      DMTHIN_GUEST_TIMEOUT: '30',
      DMTHIN_GUEST_MEM: '512M',
      DMTHIN_GUEST_DISK_SIZE: '1G',
      DMTHIN_GUEST_KEEP: '1',
    });
    assert.notEqual(options, 'help');
    if (options === 'help') return;
    assert.equal(options.timeoutMs, 30_000);
    assert.equal(options.memoryBytes, 512 * 1024 ** 2);
    assert.equal(options.diskBytes, 1024 ** 3);
    assert.equal(options.keep, true);
  });

  it('refuses what it cannot read', () => {
    for (const env of [
      { DMTHIN_GUEST_TIMEOUT: '0' },
      { DMTHIN_GUEST_TIMEOUT: '1m' },
      { DMTHIN_GUEST_TIMEOUT: '3000000' },
      { DMTHIN_GUEST_MEM: 'much' },
      { DMTHIN_GUEST_MEM: '64M' },
      { DMTHIN_GUEST_DISK_SIZE: '0' },
    ]) {
      assert.throws(() => parseOptions(['true'], env), refused, JSON.stringify(env));
    }
  });

  it('knows the kernels by word or absolute path', () => {
    assert.deepEqual(parseKernelChoice(''), { kind: 'auto' });
    assert.deepEqual(parseKernelChoice('fast'), { kind: 'fast' });
    assert.deepEqual(parseKernelChoice('distribution'), { kind: 'distribution' });
    assert.deepEqual(parseKernelChoice('/opt/linux'), { kind: 'file', path: '/opt/linux' });
    assert.throws(() => parseKernelChoice('linux'), refused);
  });

  it('reads extra disks: fresh ones by size, the caller’s own by path', () => {
    assert.deepEqual(parseDisks('meta:128M,data:/srv/data.img'), [
      { name: 'meta', sizeBytes: 128 * 1024 ** 2 },
      { name: 'data', path: '/srv/data.img' },
    ]);
    assert.deepEqual(parseDisks(''), []);
    for (const text of ['meta', 'meta:', ':1G', 'Meta:1G', 'meta:big', 'a:1G,a:2G', 'a:/x:y', 'a:/x y']) {
      assert.throws(() => parseDisks(text), refused, text);
    }
    const many = (count: number): string => Array.from({ length: count }, (_, n) => `d${n}:1M`).join(',');
    assert.equal(parseDisks(many(15)).length, 15);
    assert.throws(() => parseDisks(many(16)), refused);
  });
});

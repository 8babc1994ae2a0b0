import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kernelParameters } from '../../../guest/kernel.ts';
import { kernelArguments } from '../../../guest/machine.ts';
import { loadOrder } from '../../../guest/modules.ts';
import { hasCode } from '../../../src/base/errors.ts';

const DEP = `kernel/md/dm-mod.ko:
kernel/md/dm-bufio.ko: kernel/md/dm-mod.ko
kernel/md/persistent-data/dm-persistent-data.ko: kernel/md/dm-bufio.ko kernel/md/dm-mod.ko
kernel/md/dm-thin-pool.ko: kernel/md/persistent-data/dm-persistent-data.ko kernel/md/dm-bufio.ko kernel/md/dm-mod.ko
kernel/block/loop.ko.xz:
`;
const BUILTIN = 'kernel/fs/xfs/xfs.ko\nkernel/fs/ext4/ext4.ko\n';

describe('modules', () => {
  it('come after what they need, each once; built-in ones need no loading', () => {
    assert.deepEqual(loadOrder(DEP, BUILTIN, ['dm-thin-pool', 'xfs', 'dm-bufio', 'loop']), [
      'kernel/md/dm-mod.ko',
      'kernel/md/dm-bufio.ko',
      'kernel/md/persistent-data/dm-persistent-data.ko',
      'kernel/md/dm-thin-pool.ko',
      'kernel/block/loop.ko.xz',
    ]);
  });

  it('that a kernel does not have are an error that names them', () => {
    assert.throws(
      () => loadOrder(DEP, BUILTIN, ['dm-flakey']),
      (error) => hasCode(error, 'unsupported') && error.message.includes('dm-flakey'),
    );
  });
});

describe('kernel command line', () => {
  it('asks for seccomp where the kernel has it', () => {
    assert.deepEqual(kernelParameters('6.1.176'), []);
    assert.deepEqual(kernelParameters('6.15.2'), []);
    assert.deepEqual(kernelParameters('6.16.0'), ['seccomp=auto']);
    assert.deepEqual(kernelParameters('7.2.7'), ['seccomp=auto']);
    assert.deepEqual(kernelParameters('nonsense'), []);
  });

  it('gives whole MiB of memory and the disks in order, and ends with the arguments of init', () => {
    const args = kernelArguments({
      kernel: { path: '/k', release: '7.2.7', modules: [], parameters: ['seccomp=auto'] },
      processor: undefined,
      memoryBytes: 512 * 1024 ** 2 + 1,
      memoryDirectory: '/dev/shm',
      disks: ['/s/disk.img', '/s/meta.img'],
      stateDirectory: '/s/uml',
      consoleLog: '/s/console.log',
      guarded: '/s',
      busybox: '/bin/busybox',
      init: '/c/guest/init.sh',
      settings: '/s/settings.sh',
    });
    assert.equal(args[0], 'mem=512M');
    assert.deepEqual(
      args.filter((arg) => arg.startsWith('ubd')),
      ['ubd0=/s/disk.img', 'ubd1=/s/meta.img'],
    );
    assert.deepEqual(args.slice(args.indexOf('seccomp=auto')), [
      'seccomp=auto',
      'init=/bin/busybox',
      '--',
      'sh',
      '/c/guest/init.sh',
      '/s/settings.sh',
    ]);
  });
});

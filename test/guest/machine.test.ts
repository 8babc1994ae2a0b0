/** The test machine is what the other tests take it for. Run: npm run guest -- node --test test/guest/machine.test.ts */
import assert from 'node:assert/strict';
import { mkdir, open, readFile, statfs, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { runChecked, runProcess } from '../../src/base/process.ts';

const EXT4_MAGIC = 0xef53;
const OVERLAY_MAGIC = 0x794c7630;

const run = (file: string, ...args: string[]): Promise<string> => runChecked(runProcess, file, args);
const variable = (name: string): string => process.env[name] ?? assert.fail(`${name} is not set`);

describe('test machine', () => {
  before(() => assert.equal(process.env['DMTHIN_GUEST'], '1', 'run this in the guest: npm run guest'));

  it('has the device-mapper targets', async () => {
    const targets = (await run('dmsetup', 'targets')).split('\n').map((line) => line.split(' ')[0]);
    for (const target of ['thin-pool', 'thin', 'linear', 'error', 'flakey', 'log-writes', 'delay']) {
      assert.ok(targets.includes(target), target);
    }
  });

  it('knows the file systems', async () => {
    const filesystems = (await readFile('/proc/filesystems', 'utf8')).split(/\s+/);
    for (const name of ['ext4', 'xfs', 'overlay', 'tmpfs']) assert.ok(filesystems.includes(name), name);
  });

  it('shows the host read-only', async () => {
    await assert.rejects(writeFile('/usr/dmthin-test', ''), { code: 'EROFS' });
    const checkout = join(import.meta.dirname, 'dmthin-test');
    await assert.rejects(writeFile(checkout, ''), { code: 'EROFS' });
  });

  it('lets configuration and state be written, in memory', async () => {
    for (const directory of ['/etc', '/var']) {
      assert.equal((await statfs(directory)).type, OVERLAY_MAGIC, directory);
      await mkdir(join(directory, 'dmthin-test'));
    }
    for (const directory of ['/tmp', '/var/tmp', '/run', '/dev/shm', variable('HOME')]) {
      await writeFile(join(directory, 'dmthin-test'), 'x');
    }
  });

  it('has an ext4 disk that keeps what is synced', async () => {
    const disk = variable('DMTHIN_DISK');
    assert.equal((await statfs(disk)).type, EXT4_MAGIC);
    await using file = await open(join(disk, 'dmthin-test'), 'w+');
    await file.writeFile('kept');
    await file.sync();
  });

  it('has a scratch directory on the host', async () => {
    const file = join(variable('DMTHIN_SCRATCH'), 'dmthin-test');
    await writeFile(file, 'x');
    assert.equal(await readFile(file, 'utf8'), 'x');
  });

  it('runs a thin pool on loop devices', async () => {
    const disk = variable('DMTHIN_DISK');
    const loops: string[] = [];
    for (const [name, size] of [
      ['meta', '4M'],
      ['data', '64M'],
    ] as const) {
      await run('truncate', '-s', size, join(disk, name));
      loops.push((await run('losetup', '--find', '--show', join(disk, name))).trim());
    }
    const [meta = '', data = ''] = loops;
    await run('dmsetup', 'create', 'machine', '--table', `0 131072 thin-pool ${meta} ${data} 128 0`);
    try {
      await run('dmsetup', 'message', 'machine', '0', 'create_thin 0');
      await run('dmsetup', 'create', 'machine-thin', '--table', '0 65536 thin /dev/mapper/machine 0');
      await run('mkfs.ext4', '-q', '/dev/mapper/machine-thin');
      assert.match(await run('dmsetup', 'status', 'machine-thin'), /^0 65536 thin [1-9]\d* /);
      await run('dmsetup', 'remove', 'machine-thin');
    } finally {
      await run('dmsetup', 'remove', 'machine');
      for (const loop of loops) await run('losetup', '--detach', loop);
    }
  });

  it('has a loopback network and cgroups', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    assert.ok((server.address() as AddressInfo).port > 0);
    server.close();
    assert.match(await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8'), /\bpids\b/);
  });
});

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { dmName } from '../../../src/base/units.ts';
import type { DmClient } from '../../../src/dm/client.ts';
import { createMachine } from '../../fakes/machine.ts';
import { createCli } from './harness.ts';

const CREATE = ['pool', 'create', 'p', '--loop-dir', '/var/pools', '--data-size', '20G'] as const;

describe('pool create', () => {
  it('says what it did, and the second time that nothing was to be done', async () => {
    const { dmthin } = createCli();
    assert.deepEqual(await dmthin(...CREATE), {
      code: 0,
      err: '',
      out: `pool p is made
  make the directory /var/pools
  make the sparse file /var/pools/p.data of 20 GiB
  make the sparse file /var/pools/p.meta of 96 MiB
  attach a loop device to /var/pools/p.data
  attach a loop device to /var/pools/p.meta
  make a new pool: /dev/mapper/p of 20 GiB, blocks of 64 KiB, warning below 1 GiB free
next: set pool_name = "p" in /etc/dmthin/config.toml, then run: dmthin serve`,
    });
    assert.deepEqual(await dmthin(...CREATE), {
      code: 0,
      err: '',
      out: 'pool p is already there: nothing to do',
    });
  });

  it('says what it would do', async () => {
    const { dmthin, machine } = createCli();
    const { out } = await dmthin(...CREATE, '--dry-run');
    assert.match(
      out,
      /^to be done for pool p \(nothing has been changed\):\n {2}make the directory \/var\/pools\n/,
    );
    assert.match(
      out,
      /\n {2}table: 0 41943040 thin-pool LOOP\(\/var\/pools\/p\.meta\) LOOP\(\/var\/pools\/p\.data\) 128 16384 0$/,
    );
    assert.deepEqual(machine.changes, []);
  });

  it('reports in JSON', async () => {
    const { dmthin, machine } = createCli();
    await dmthin(...CREATE);
    machine.reboot();
    assert.deepEqual(JSON.parse((await dmthin(...CREATE, '--json')).out), {
      pool: 'p',
      outcome: 'assembled',
      dry_run: false,
      steps: [
        'attach a loop device to /var/pools/p.data',
        'attach a loop device to /var/pools/p.meta',
        'assemble the pool that is there: /dev/mapper/p of 20 GiB, blocks of 64 KiB, warning below 1 GiB free',
      ],
      table: '0 41943040 thin-pool LOOP(/var/pools/p.meta) LOOP(/var/pools/p.data) 128 16384 0',
      warnings: [],
    });
  });

  for (const [args, words] of [
    [[], /give either --loop-dir, or --device, or both/],
    [['--loop-dir', '/a', '--data-device', '/dev/sda'], /give either --loop-dir, or --device, or both/],
    [['--lvm', 'vg/pool', '--data-size', '1G'], /--lvm stands alone/],
    [['--lvm', 'pool'], /is not a volume group and a pool in it/],
    [['--data-device', '/dev/sda'], /give either --loop-dir, or --device, or both/],
    [
      ['--data-device', '/dev/sda', '--metadata-device', '/dev/sdb', '--data-size', '1G'],
      /disks are taken whole/,
    ],
    [['--loop-dir', '/a', '--data-size', '1G', '--block-size', '100K'], /100 KiB is not a block size/],
    [['--loop-dir', '/a', '--data-size', '1G', '--metadata-size', '1M'], /1 MiB is not a metadata size/],
    [['--loop-dir', '/a', '--data-size', '32K'], /a data size of 32 KiB has no room for one block/],
    [
      ['--loop-dir', '/a', '--data-size', '1G', '--transport', 'magic'],
      /Allowed choices are auto, ioctl, dmsetup/,
    ],
  ] as const) {
    it(`refuses: ${args.join(' ') || 'nothing'}`, async () => {
      const { dmthin, machine } = createCli();
      const { code, out, err } = await dmthin('pool', 'create', 'p', ...args);
      assert.deepEqual([code, out], [64, '']);
      assert.match(err, words);
      assert.deepEqual(machine.changes, []);
    });
  }

  it('is for root', async () => {
    const { code, err } = await createCli({ isRoot: () => false }).dmthin(...CREATE);
    assert.equal(code, 77);
    assert.match(err, /for root alone: EPERM\n {2}next step: run the same command with sudo/);
  });
});

describe('pool status', () => {
  it('shows the pool to people', async () => {
    const { dmthin, machine } = createCli();
    await dmthin(...CREATE);
    machine.kernel.pool(dmName('p')).usedDataBlocks = 81_920;
    assert.deepEqual(await dmthin('pool', 'status', 'p'), {
      code: 0,
      err: '',
      out: `p  read-write
  data            [######------------------]  25.0 %  5 GiB of 20 GiB
  metadata        [#-----------------------]   0.2 %  40 KiB of 16 MiB
  needs check     no
  transaction id  0
  when full       writes wait
  block size      64 KiB
  low-water mark  1 GiB free
  features        none (blocks are zeroed, discards are passed down)
  active devices  0
  data on         /dev/loop0  /var/pools/p.data, 0 B on disk
  metadata on     /dev/loop1  /var/pools/p.meta, 0 B on disk`,
    });
  });

  it('says what is wrong with it', async () => {
    const { dmthin, machine } = createCli();
    await dmthin(...CREATE);
    const pool = machine.kernel.pool(dmName('p'));
    pool.mode = 'ro';
    pool.needsCheck = true;
    const { out } = await dmthin('pool', 'status', 'p');
    assert.match(out, /^p {2}READ-ONLY: its metadata is full or damaged\n/);
    assert.match(out, /needs check {5}YES: deactivate it, then thin_check and thin_repair\n/);
    pool.mode = 'fail';
    assert.match(
      (await dmthin('pool', 'status', 'p')).out,
      /^p {2}FAILED: all I\/O errors; repair its metadata/,
    );
  });

  it('shows it to programs', async () => {
    const { dmthin } = createCli();
    await dmthin(...CREATE);
    assert.deepEqual(JSON.parse((await dmthin('pool', 'status', 'p', '--json')).out), {
      name: 'p',
      mode: 'rw',
      suspended: false,
      needs_check: false,
      data: { used_bytes: 0, total_bytes: 20 * 2 ** 30 },
      metadata: { used_bytes: 40_960, total_bytes: 2 ** 24 },
      transaction_id: '0',
      when_full: 'queue',
      block_bytes: 65_536,
      low_water_bytes: 2 ** 30,
      features: [],
      active_devices: [],
      data_device: { device: '/dev/loop0', file: '/var/pools/p.data', allocated_bytes: 0 },
      metadata_device: { device: '/dev/loop1', file: '/var/pools/p.meta', allocated_bytes: 0 },
      status: '0 41943040 thin-pool 0 10/4096 0/327680 - rw discard_passdown queue_if_no_space - 1024',
    });
  });

  it('is shown again and again until a signal ends it', async () => {
    const signals = new EventEmitter();
    const machine = createMachine();
    let count = 0;
    const status: DmClient['status'] = (...args) => {
      count += 1;
      if (count === 3) signals.emit('SIGINT');
      return machine.dm.status(...args);
    };
    const openDm = () => Promise.resolve({ ...machine.dm, status });
    const { dmthin } = createCli({ signals, openDm }, machine);
    await dmthin(...CREATE);
    const { code, out } = await dmthin('pool', 'status', 'p', '--watch', '0.001', '--json');
    assert.equal(code, 0);
    const modes = out.split('\n').map((line) => (JSON.parse(line) as { mode: string }).mode);
    assert.deepEqual(modes, ['rw', 'rw', 'rw']);
    assert.equal(signals.listenerCount('SIGINT'), 0);
    assert.equal((await dmthin('pool', 'status', 'p', '--watch', 'often')).code, 64);
  });

  it('of nothing ends with 1', async () => {
    const { code, err } = await createCli().dmthin('pool', 'status', 'p', '--json');
    assert.equal(code, 1);
    assert.equal((JSON.parse(err) as { error: { code: string } }).error.code, 'not_found');
  });
});

describe('pool destroy', () => {
  it('says what is gone and what is kept', async () => {
    const { dmthin } = createCli();
    await dmthin(...CREATE);
    assert.equal(
      (await dmthin('pool', 'destroy', 'p')).out,
      `pool p is gone
  remove the pool /dev/mapper/p
  detach /dev/loop0 from /var/pools/p.data
  detach /dev/loop1 from /var/pools/p.meta
  kept: /var/pools/p.data
  kept: /var/pools/p.meta`,
    );
    const { out } = await dmthin('pool', 'destroy', 'p', '--loop-dir', '/var/pools', '--delete-files');
    assert.equal(out, 'pool p is gone\n  delete /var/pools/p.data\n  delete /var/pools/p.meta');
  });

  it('asks the store in the directory given', async () => {
    const asked: string[] = [];
    const { dmthin } = createCli({
      countSnapshots(root, pool) {
        asked.push(`${root} ${pool}`);
        return Promise.resolve(2);
      },
    });
    await dmthin(...CREATE);
    const { code, err } = await dmthin('pool', 'destroy', 'p', '--root', '/srv/dmthin');
    assert.equal(code, 1);
    assert.match(err, /names 2 snapshots on it/);
    assert.deepEqual(asked, ['/srv/dmthin p']);
  });
});

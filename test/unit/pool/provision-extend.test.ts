import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errnoError } from '../../../src/dm/errno.ts';
import { type Bytes, bytes, dmName } from '../../../src/base/units.ts';
import { parsePoolTable } from '../../../src/dm/tables.ts';
import { ensurePool } from '../../../src/pool/provision-ensure.ts';
import { extendPool } from '../../../src/pool/provision-extend.ts';
import type { PoolBacking } from '../../../src/pool/provision-request.ts';
import { createFakePoolChanges } from '../../fakes/pool-changes.ts';
import { createMachine, type Machine } from '../../fakes/machine.ts';
import { refuses } from '../../refuses.ts';

const POOL = dmName('p');
const GIB = 2 ** 30;
const MIB = 2 ** 20;
const FILES = {
  kind: 'loop',
  directory: '/var/pools',
  dataBytes: bytes(GIB),
  metadataBytes: bytes(16 * MIB),
} as const;

async function withPool(backing: PoolBacking = FILES): Promise<Machine> {
  const machine = createMachine();
  machine.addDisk('/dev/sda', GIB);
  machine.addDisk('/dev/sdb', 16 * MIB);
  await ensurePool({ name: POOL, backing, blockSectors: undefined }, machine);
  machine.changes.length = 0;
  return machine;
}

function extend(
  machine: Machine,
  data?: number,
  metadata?: number,
  dryRun = false,
  poolChanges = createFakePoolChanges(),
) {
  const sized = (value?: number): Bytes | undefined => (value === undefined ? undefined : bytes(value));
  const request = { name: POOL, bytes: { data: sized(data), metadata: sized(metadata) } };
  return extendPool(request, { ...machine, poolChanges }, { dryRun });
}

const tableOf = ({ kernel }: Machine) => parsePoolTable(POOL, kernel.table(POOL));

describe('pool extend', () => {
  it('grows files, loop devices and the pool, and keeps the share of the low-water mark', async () => {
    const machine = await withPool();
    const marked = tableOf(machine).lowWaterBlocks;
    await extend(machine, 2 * GIB, 32 * MIB);
    assert.deepEqual(machine.changes, [
      `growFile /var/pools/p.data ${2 * GIB}`,
      'refreshLoop /dev/loop0',
      `growFile /var/pools/p.meta ${32 * MIB}`,
      'refreshLoop /dev/loop1',
    ]);
    assert.equal(tableOf(machine).length, (2 * GIB) / 512);
    assert.ok(Math.abs(tableOf(machine).lowWaterBlocks - 2 * marked) <= 1);
    assert.equal(machine.kernel.info(POOL)?.suspended, false);
    assert.equal(machine.kernel.pool(POOL).totalMetadataBlocks, 8192);
    machine.changes.length = 0;
    assert.deepEqual(await extend(machine, 2 * GIB, 32 * MIB), []);
    assert.deepEqual(machine.changes, []);
  });

  it('takes the new size of a disk', async () => {
    const machine = await withPool({ kind: 'devices', data: '/dev/sda', metadata: '/dev/sdb' });
    machine.addDisk('/dev/sda', 3 * GIB);
    await extend(machine);
    assert.equal(tableOf(machine).length, (3 * GIB) / 512);
    assert.deepEqual(machine.changes, []);
    await refuses(extend(machine, 4 * GIB), 'invalid_argument', /sda is not a file.* without --data-size/);
    machine.addDisk('/dev/sda', 2 * GIB);
    await refuses(extend(machine), 'failed_precondition', /has shrunk to 2 GiB, below the pool's 3 GiB/);
  });

  it('changes nothing in a dry run', async () => {
    const machine = await withPool();
    const before = machine.state();
    assert.equal((await extend(machine, 2 * GIB, undefined, true)).length, 3);
    assert.deepEqual(machine.state(), before);
  });

  for (const [name, spoil, words] of [
    ['needs a check', (m: Machine) => (m.kernel.pool(POOL).needsCheck = true), /needs a check.*thin_check/],
    ['has failed', (m: Machine) => (m.kernel.pool(POOL).mode = 'fail'), /has failed.*thin_check/],
    ['is suspended', (m: Machine) => m.kernel.suspend(POOL), /somebody has suspended it/],
  ] as const) {
    it(`is refused while the pool ${name}`, async () => {
      const machine = await withPool();
      spoil(machine);
      await refuses(extend(machine, 2 * GIB), 'failed_precondition', words);
      assert.deepEqual(machine.changes, []);
      assert.equal(tableOf(machine).length, GIB / 512);
    });
  }

  it('does not shrink', async () => {
    const machine = await withPool();
    await refuses(extend(machine, GIB / 2), 'invalid_argument', /has 1 GiB, and --data-size 512 MiB is less/);
    assert.deepEqual(machine.changes, []);
  });

  it('leaves the pool with its old table and not suspended when the kernel refuses the new one', async () => {
    const machine = await withPool();
    const poolChanges = createFakePoolChanges();
    let calls = 0;
    const dm = {
      ...machine.dm,
      resume: (name: typeof POOL) => {
        calls += 1;
        if (calls > 1) return machine.dm.resume(name);
        return Promise.reject(errnoError('ENOMEM', { op: 'resume', what: 'injected', device: name }));
      },
    };
    const request = { name: POOL, bytes: { data: bytes(2 * GIB), metadata: undefined } };
    await refuses(extendPool(request, { ...machine, dm, poolChanges }), 'internal', /injected.*ENOMEM/);
    assert.equal(machine.kernel.info(POOL)?.suspended, false);
    assert.equal(tableOf(machine).length, GIB / 512);
    await extend(machine, 2 * GIB);
    assert.equal(tableOf(machine).length, (2 * GIB) / 512);
  });

  it('says so when the kernel answers success and has not grown', async () => {
    const machine = await withPool();
    const poolChanges = createFakePoolChanges();
    const dm = { ...machine.dm, load: () => Promise.resolve() };
    const request = { name: POOL, bytes: { data: bytes(2 * GIB), metadata: undefined } };
    await refuses(
      extendPool(request, { ...machine, dm, poolChanges }),
      'internal',
      /did not take the new size/,
    );
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { type Bytes, bytes, dmName } from '../../../src/base/units.ts';
import { ensurePool } from '../../../src/pool/provision-ensure.ts';
import type { PoolBacking } from '../../../src/pool/provision-request.ts';
import { createSpaceKeeper, type LowSpace, type SpaceKeeperOptions } from '../../../src/pool/space-keeper.ts';
import { createFakePoolChanges } from '../../fakes/pool-changes.ts';
import { createMachine } from '../../fakes/machine.ts';

const POOL = dmName('p');
const GIB = 2 ** 30;
const FILES = {
  kind: 'loop',
  directory: '/var/pools',
  dataBytes: bytes(GIB),
  metadataBytes: bytes(16 * 2 ** 20),
} as const;

async function createKept(max?: Bytes, backing: PoolBacking = FILES, more: Partial<SpaceKeeperOptions> = {}) {
  const machine = createMachine();
  machine.addDisk('/dev/sda', GIB);
  machine.addDisk('/dev/sdb', 16 * 2 ** 20);
  await ensurePool({ name: POOL, backing, blockSectors: undefined }, machine);
  machine.changes.length = 0;
  const told: LowSpace[] = [];
  const warnings: [string, object][] = [];
  const note = (facts: object, message: string) => warnings.push([message, facts]);
  const keeper = createSpaceKeeper({
    ...machine,
    name: POOL,
    poolChanges: createFakePoolChanges(),
    maxDataBytes: max,
    runCommand: (low) => {
      told.push(low);
      return Promise.resolve();
    },
    log: { ...silentLog, warn: note, error: note },
    ...more,
  });
  const pool = machine.kernel.pool(POOL);
  return {
    ...{ machine, keeper, pool, told, warnings },
    /** @param percent of the pool's first GiB */
    use: (percent: number) => (pool.usedDataBlocks = Math.ceil((16_384 * percent) / 100)),
    growths: () => machine.changes.filter((change) => change.startsWith('growFile')),
  };
}

describe('the keeper of space', () => {
  it('leaves a pool alone that has room', async () => {
    const { keeper, machine, use, told } = await createKept(bytes(2 * GIB));
    use(79);
    await keeper.check();
    assert.deepEqual([machine.changes, told], [[], []]);
  });

  it('grows data up to the limit, then tells', async () => {
    const { keeper, use, growths, told } = await createKept(bytes(1.5 * GIB));
    use(81);
    await keeper.check();
    assert.deepEqual(growths(), [`growFile /var/pools/p.data ${1.25 * GIB}`]);
    await keeper.check();
    assert.equal(growths().length, 1, 'it has room now');
    use(110);
    await keeper.check();
    assert.equal(growths()[1], `growFile /var/pools/p.data ${1.5 * GIB}`);
    assert.equal(told.length, 0);
    use(140);
    await keeper.check();
    assert.equal(growths().length, 2);
    assert.deepEqual(
      told.map(({ role, freePercent }) => [role, freePercent.toFixed(1)]),
      [['data', '6.7']],
    );
  });

  it('grows metadata without being told to', async () => {
    const { keeper, pool, growths } = await createKept();
    pool.usedMetadataBlocks = 3500;
    await keeper.check();
    assert.deepEqual(growths(), [`growFile /var/pools/p.meta ${24 * 2 ** 20}`]);
  });

  it('tells once for each level, and again after there was room', async () => {
    const { keeper, use, told, warnings } = await createKept();
    for (const percent of [81, 85, 91, 91, 85, 91, 50, 81]) {
      use(percent);
      await keeper.check();
    }
    assert.deepEqual(
      told.map(({ freePercent }) => Math.round(freePercent)),
      [19, 9, 9, 19],
    );
    assert.match(JSON.stringify(warnings[0]), /dmthin pool extend p --data-size SIZE/);
  });

  it('of disks tells what to do, and with which', async () => {
    const disks = { kind: 'devices', data: '/dev/sda', metadata: '/dev/sdb' } as const;
    const { keeper, use, told, warnings, growths } = await createKept(bytes(2 * GIB), disks);
    use(85);
    await keeper.check();
    assert.deepEqual(growths(), []);
    assert.deepEqual([told[0]?.dataDevice, told[0]?.metadataDevice], ['/dev/sda', '/dev/sdb']);
    assert.match(JSON.stringify(warnings[0]), /grow \/dev\/sda, then dmthin pool extend p/);
  });

  it('does not grow past what the filesystem below can hold', async () => {
    const { keeper, machine, use, growths, told } = await createKept(bytes(2 * GIB));
    machine.freeBytes = GIB;
    use(85);
    await keeper.check();
    assert.deepEqual([growths(), told.length], [[], 1]);
    machine.freeBytes = 2 * GIB;
    await keeper.check();
    assert.equal(growths().length, 1);
  });

  it('does not try a growth again that failed, until the pool has changed', async () => {
    const { keeper, machine, use, pool, warnings, growths } = await createKept(bytes(2 * GIB));
    let attempts = 0;
    machine.beforeChange = (change) => {
      if (!change.startsWith('growFile')) return;
      attempts += 1;
      throw new DmthinError('internal', { op: 'grow file', what: 'disk error' });
    };
    use(85);
    await keeper.check();
    await keeper.check();
    assert.equal(attempts, 1);
    assert.equal(warnings[0]?.[0], 'the pool could not grow');
    machine.beforeChange = () => undefined;
    pool.mode = 'out_of_data_space';
    await keeper.check();
    assert.equal(growths().length, 1);
  });

  it('leaves a pool alone that needs a check, has failed or is gone', async () => {
    const { keeper, machine, use, pool, told } = await createKept(bytes(2 * GIB));
    use(99);
    pool.needsCheck = true;
    await keeper.check();
    pool.mode = 'fail';
    await keeper.check();
    machine.kernel.remove(POOL, false);
    await keeper.check();
    assert.deepEqual([machine.changes, told], [[], []]);
  });

  it('lets somebody else finish who is growing it', async () => {
    const lock = () => {
      throw new DmthinError('locked', { op: 'lock', what: 'another' });
    };
    const poolChanges = { ...createFakePoolChanges(), lock };
    const { keeper, use, told } = await createKept(bytes(2 * GIB), FILES, { poolChanges });
    use(85);
    await keeper.check();
    assert.equal(told.length, 0);
  });
});

/** A growth whose process dies at any of its calls: the pool must not stay suspended, since all I/O to it waits. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errnoError } from '../../../src/dm/errno.ts';
import { silentLog } from '../../../src/base/log.ts';
import { bytes, dmName } from '../../../src/base/units.ts';
import type { DmClient } from '../../../src/dm/client.ts';
import { parsePoolTable } from '../../../src/dm/tables.ts';
import type { PoolChanges } from '../../../src/pool/pool-changes.ts';
import { ensurePool } from '../../../src/pool/provision-ensure.ts';
import { extendPool } from '../../../src/pool/provision-extend.ts';
import { createFinishChange } from '../../../src/pool/swap-table.ts';
import { DaemonCrash } from '../../fakes/dm-client.ts';
import { createFakePoolChanges } from '../../fakes/pool-changes.ts';
import { createMachine, type Machine } from '../../fakes/machine.ts';
import { refuses } from '../../refuses.ts';

const POOL = dmName('p');
const GIB = 2 ** 30;
const REQUEST = { name: POOL, bytes: { data: bytes(2 * GIB), metadata: undefined } };

async function withPool(): Promise<Machine> {
  const machine = createMachine();
  const backing = {
    kind: 'loop',
    directory: '/var/pools',
    dataBytes: bytes(GIB),
    metadataBytes: bytes(2 ** 24),
  } as const;
  await ensurePool({ name: POOL, backing, blockSectors: undefined }, machine);
  return machine;
}

const sizeOf = ({ kernel }: Machine): number => parsePoolTable(POOL, kernel.table(POOL)).length * 512;

type Edge = 'before' | 'after';
type Call = 'load' | 'suspend' | 'resume';

/** Its process dies at that call, and does nothing more. */
function dying(dm: DmClient, edge: Edge, call: Call): DmClient {
  let dead = false;
  const mortal =
    <A extends unknown[], T>(name: Call, body: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      dead ||= name === call && edge === 'before';
      if (dead) throw new DaemonCrash();
      const answer = await body(...args);
      dead = name === call;
      if (dead) throw new DaemonCrash();
      return answer;
    };
  return {
    ...dm,
    load: mortal('load', (...args: Parameters<DmClient['load']>) => dm.load(...args)),
    suspend: mortal('suspend', (...args: Parameters<DmClient['suspend']>) => dm.suspend(...args)),
    resume: mortal('resume', (...args: Parameters<DmClient['resume']>) => dm.resume(...args)),
  };
}

async function dieAt(machine: Machine, poolChanges: PoolChanges, edge: Edge, call: Call): Promise<void> {
  const dm = dying(machine.dm, edge, call);
  await assert.rejects(extendPool(REQUEST, { ...machine, dm, poolChanges }));
}

for (const edge of ['before', 'after'] as const) {
  for (const call of ['load', 'suspend', 'resume'] as const) {
    describe(`a growth that dies ${edge} ${call}`, () => {
      it('is finished by the daemon, or by the next one that asks for it', async () => {
        const machine = await withPool();
        const poolChanges = createFakePoolChanges();
        await dieAt(machine, poolChanges, edge, call);
        const finish = createFinishChange(POOL, { dm: machine.dm, poolChanges, log: silentLog });
        await finish();
        const { suspended, inactive } = machine.kernel.info(POOL) ?? {};
        assert.deepEqual({ suspended, inactive }, { suspended: false, inactive: false });
        assert.deepEqual(await poolChanges.underWay(POOL), []);
        await extendPool(REQUEST, { ...machine, poolChanges });
        assert.equal(sizeOf(machine), 2 * GIB);
      });

      it('is finished by pool extend, without a daemon', async () => {
        const machine = await withPool();
        const poolChanges = createFakePoolChanges();
        await dieAt(machine, poolChanges, edge, call);
        await extendPool(REQUEST, { ...machine, poolChanges });
        assert.equal(sizeOf(machine), 2 * GIB);
        assert.equal(machine.kernel.info(POOL)?.suspended, false);
        assert.deepEqual(await poolChanges.underWay(POOL), []);
      });
    });
  }
}

describe('finishing a growth', () => {
  it('leaves a pool alone that somebody else has suspended', async () => {
    const machine = await withPool();
    machine.kernel.suspend(POOL);
    const poolChanges = createFakePoolChanges();
    await createFinishChange(POOL, { dm: machine.dm, poolChanges, log: silentLog })();
    assert.equal(machine.kernel.info(POOL)?.suspended, true);
    await refuses(extendPool(REQUEST, { ...machine, poolChanges }), 'failed_precondition', /somebody has/);
  });

  it('says once why it cannot, and tries again', async () => {
    const machine = await withPool();
    machine.kernel.suspend(POOL);
    const poolChanges = createFakePoolChanges();
    await poolChanges.begin(POOL, [POOL]);
    let fails = true;
    const resume: typeof machine.dm.resume = (name) =>
      fails
        ? Promise.reject(errnoError('ENOMEM', { op: 'resume', what: 'injected', device: name }))
        : machine.dm.resume(name);
    const said: string[] = [];
    const note = (_: object, message: string): number => said.push(message);
    const finish = createFinishChange(POOL, {
      dm: { ...machine.dm, resume },
      poolChanges,
      log: { ...silentLog, warn: note, error: note },
    });
    await finish();
    await finish();
    assert.deepEqual(said, ['a change of the pool was interrupted, and cannot be finished']);
    fails = false;
    await finish();
    await finish();
    assert.equal(said.at(-1), 'a change of the pool was interrupted; it is finished, and I/O goes on');
    assert.equal(said.length, 2);
    assert.equal(machine.kernel.info(POOL)?.suspended, false);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { dmName } from '../../../src/base/units.ts';
import { createGate } from '../../../src/pool/gate.ts';
import { DEFAULT_FLOORS } from '../../../src/pool/health.ts';
import { createThinPool } from '../../../src/pool/thin-pool.ts';
import { createFakeDmClient, createFakeKernel } from '../../fakes/dm-client.ts';
import { createPool } from '../snapshotter/harness.ts';

const POOL = dmName('pool');
const NOTHING = {
  undone: 0,
  activated: 0,
  resumed: 0,
  deactivated: 0,
  basesDeleted: 0,
  leftoversRemoved: 0,
  removalsPending: 0,
};

describe('the gate', () => {
  it('assembles the pool until it has been open once, and never again', async () => {
    const kernel = createFakeKernel();
    let refusal: DmthinError | undefined = new DmthinError('unavailable', {
      op: 'assemble',
      what: 'no disk',
    });
    let assembled = 0;
    let recovered = 0;
    let life = 1;
    const gate = createGate({
      pool: createThinPool(createFakeDmClient(kernel), POOL, DEFAULT_FLOORS),
      assemble: async () => {
        assembled += 1;
        if (refusal !== undefined) throw refusal;
        if (kernel.info(POOL) === undefined) createPool(kernel, POOL);
        return Promise.resolve();
      },
      identify: (device) => Promise.resolve(`${device} #${life}`),
      recover: () => {
        recovered += 1;
        return Promise.resolve({ ...NOTHING, problems: [] });
      },
      onOpen: () => undefined,
      log: silentLog,
    });

    await gate.check();
    assert.equal(gate.state, 'closed');
    await assert.rejects(gate.whenOpen('Prepare'), { code: 'unavailable', message: /^Prepare: no disk/ });
    assert.equal(assembled, 2);

    refusal = undefined;
    await gate.whenOpen('Prepare');
    assert.deepEqual([gate.state, assembled], ['open', 3]);

    kernel.remove(POOL, false);
    await gate.check();
    await gate.check();
    assert.deepEqual([gate.state, assembled], ['closed', 3]);
    assert.match(gate.reason?.message ?? '', /does not exist/);
    createPool(kernel, POOL);
    await gate.check();
    assert.equal(gate.state, 'open');

    await gate.check();
    assert.equal(recovered, 2);
    // Gone and back under the same number between two looks.
    life = 2;
    await gate.check();
    await gate.check();
    assert.deepEqual([gate.state, recovered], ['open', 3]);
  });
});

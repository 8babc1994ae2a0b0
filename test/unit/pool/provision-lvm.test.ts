import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dmName, sectors } from '../../../src/base/units.ts';
import { poolTable } from '../../../src/dm/tables.ts';
import { lvmPoolNames, parseLvmVolume } from '../../../src/pool/lvm-names.ts';
import { deactivatePool } from '../../../src/pool/provision-deactivate.ts';
import { destroyPool } from '../../../src/pool/provision-destroy.ts';
import { extendPool } from '../../../src/pool/provision-extend.ts';
import { adoptLvmPool } from '../../../src/pool/provision-lvm.ts';
import { createFakePoolChanges } from '../../fakes/pool-changes.ts';
import { createMachine, type Machine } from '../../fakes/machine.ts';
import { refuses } from '../../refuses.ts';

const LVM = { group: 'my-vg', volume: 'pool' };
const [LAYERED, PLAIN] = lvmPoolNames(LVM);

function addPool(machine: Machine, name = LAYERED, uuid = 'LVM-x-tpool'): void {
  machine.addDisk('/dev/data', 2 ** 30);
  machine.addDisk('/dev/meta', 2 ** 24);
  const { kernel } = machine;
  kernel.createDevice(name, uuid);
  const devices = { dataDevice: '/dev/data', metadataDevice: '/dev/meta' };
  const geometry = { length: sectors(2 ** 21), blockSectors: sectors(128), lowWaterBlocks: 0, features: [] };
  kernel.load(name, [poolTable({ ...devices, ...geometry })], false);
  kernel.resume(name);
}

describe("names of LVM's", () => {
  it('double the hyphens', () => {
    assert.deepEqual([LAYERED, PLAIN], ['my--vg-pool-tpool', 'my--vg-pool']);
    assert.deepEqual(parseLvmVolume('my-vg/pool'), LVM);
  });
  for (const text of ['', 'vg', 'vg/', '/pool', 'a/b/c', '-vg/pool', '../pool', 'v g/pool']) {
    it(`${JSON.stringify(text)} is none`, () => {
      assert.throws(() => parseLvmVolume(text), { code: 'invalid_argument' });
    });
  }
});

describe("a pool of LVM's", () => {
  it('is found under either name, and nothing is changed', async () => {
    for (const name of [LAYERED, PLAIN]) {
      const machine = createMachine();
      addPool(machine, name);
      assert.deepEqual(await adoptLvmPool(LVM, undefined, machine), { name, outcome: 'present' });
      assert.deepEqual(machine.changes, []);
    }
  });

  it('is activated by LVM where it is not active', async () => {
    const machine = createMachine();
    machine.onActivateLvm = () => addPool(machine);
    const dry = await adoptLvmPool(LVM, undefined, machine, { dryRun: true });
    assert.deepEqual([dry.outcome, machine.changes], ['assembled', []]);
    assert.deepEqual(await adoptLvmPool(LVM, LAYERED, machine), { name: LAYERED, outcome: 'assembled' });
    assert.deepEqual(machine.changes, ['activateLvm my-vg/pool']);
  });

  it('is refused when there is none, when it has another name, and when it is not of LVM', async () => {
    await refuses(
      adoptLvmPool(LVM, undefined, createMachine()),
      'not_found',
      /no thin-pool device my--vg-pool-tpool/,
    );
    const machine = createMachine();
    addPool(machine);
    await refuses(
      adoptLvmPool(LVM, PLAIN, machine),
      'failed_precondition',
      /set pool_name = "my--vg-pool-tpool"/,
    );
    const foreign = createMachine();
    addPool(foreign, LAYERED, 'DMTHIN-POOL-x');
    await refuses(adoptLvmPool(LVM, undefined, foreign), 'failed_precondition', /is not LVM's/);
  });

  it('is neither grown nor taken away here', async () => {
    const machine = createMachine();
    addPool(machine);
    machine.addDisk('/dev/data', 2 ** 31);
    const poolChanges = createFakePoolChanges();
    const request = { name: LAYERED, bytes: { data: undefined, metadata: undefined } };
    await refuses(extendPool(request, { ...machine, poolChanges }), 'failed_precondition', /lvextend/);
    const destroy = { name: LAYERED, loopDirectory: undefined, deleteFiles: true };
    const countSnapshots = () => Promise.resolve(undefined);
    await refuses(destroyPool(destroy, { ...machine, countSnapshots }), 'failed_precondition', /lvremove/);
    const deps = {
      ...machine,
      findUsers: () => Promise.resolve([]),
      requireNoDaemon: () => Promise.resolve(),
    };
    assert.deepEqual(await deactivatePool(dmName(LAYERED), deps), []);
    assert.deepEqual(machine.changes, []);
  });
});

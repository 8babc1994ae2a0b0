import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytes, dmName, sectors } from '../../../src/base/units.ts';
import { type DescribedPool, ensurePool } from '../../../src/pool/provision-ensure.ts';
import { createMachine } from '../../fakes/machine.ts';
import { refuses } from '../../refuses.ts';

const GIB = 2 ** 30;
const described = (more: Partial<DescribedPool> = {}): DescribedPool => ({
  name: dmName('p'),
  backing: { kind: 'loop', directory: '/var/pools', dataBytes: bytes(GIB), metadataBytes: undefined },
  blockSectors: undefined,
  ...more,
});

describe('the described pool', () => {
  it('is made, then left alone, then assembled after a reboot', async () => {
    const machine = createMachine();
    assert.equal((await ensurePool(described(), machine)).outcome, 'made');
    machine.changes.length = 0;
    assert.equal((await ensurePool(described(), machine)).outcome, 'present');
    assert.deepEqual(machine.changes, []);
    machine.reboot();
    assert.equal((await ensurePool(described(), machine)).outcome, 'assembled');
  });

  it('is taken with the sizes that it has, which may have grown', async () => {
    const machine = createMachine();
    await ensurePool(described(), machine);
    machine.reboot();
    const file = machine.volumes.get('/var/pools/p.data');
    assert.ok(file !== undefined);
    machine.volumes.set('/var/pools/p.data', { ...file, size: 2 * GIB });
    assert.equal((await ensurePool(described(), machine)).outcome, 'assembled');
    assert.equal(machine.kernel.table(dmName('p'))[0]?.length, (2 * GIB) / 512);
    assert.equal((await ensurePool(described(), machine)).outcome, 'present');
  });

  it('is not made anew where it must exist', async () => {
    const machine = createMachine();
    const mustExist = 'the store at /s has devices on it';
    await refuses(
      ensurePool(described({ mustExist }), machine),
      'failed_precondition',
      /\/var\/pools\/p\.meta is not there, and the store at \/s has devices on it; next step: is a filesystem not mounted/,
    );
    assert.deepEqual(machine.changes, []);
    await ensurePool(described(), machine);
    machine.reboot();
    assert.equal((await ensurePool(described({ mustExist }), machine)).outcome, 'assembled');
  });

  it('with other blocks than the one that is active is refused', async () => {
    const machine = createMachine();
    await ensurePool(described(), machine);
    await refuses(
      ensurePool(described({ blockSectors: sectors(256) }), machine),
      'failed_precondition',
      /has blocks of 64 KiB/,
    );
  });
});

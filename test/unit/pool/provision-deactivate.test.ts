import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { bytes, deviceId, dmName, sectors } from '../../../src/base/units.ts';
import { thinTable } from '../../../src/dm/tables.ts';
import { type DeactivateDeps, deactivatePool } from '../../../src/pool/provision-deactivate.ts';
import { ensurePool } from '../../../src/pool/provision-ensure.ts';
import { createMachine, type Machine } from '../../fakes/machine.ts';
import { refuses } from '../../refuses.ts';

const POOL = dmName('p');
const THIN = dmName('p-snap-1');

async function withPool(thinUuid?: string): Promise<Machine> {
  const machine = createMachine();
  const backing = {
    kind: 'loop',
    directory: '/var/pools',
    dataBytes: bytes(2 ** 30),
    metadataBytes: undefined,
  } as const;
  await ensurePool({ name: POOL, backing, blockSectors: undefined }, machine);
  if (thinUuid !== undefined) {
    await machine.dm.message(POOL, 'create_thin 1');
    const table = thinTable({ length: sectors(128), poolDevice: '/dev/mapper/p', deviceId: deviceId(1) });
    await machine.dm.create(THIN, { uuid: thinUuid, table: [table] });
  }
  machine.changes.length = 0;
  return machine;
}

const deactivate = (machine: Machine, more: Partial<DeactivateDeps> = {}) =>
  deactivatePool(POOL, {
    ...machine,
    findUsers: ({ minor }) => Promise.resolve(minor === 1 ? ['mounted on /mnt', 'open in process 7'] : []),
    requireNoDaemon: () => Promise.resolve(),
    ...more,
  });

describe('pool deactivate', () => {
  it('takes idle devices, the pool and its loop devices away, and keeps the files', async () => {
    const machine = await withPool('DMTHIN-store-1');
    await deactivate(machine);
    assert.deepEqual(machine.changes, [
      'remove p-snap-1',
      'remove p',
      'detachLoop /dev/loop0',
      'detachLoop /dev/loop1',
    ]);
    assert.ok(machine.volumes.has('/var/pools/p.data') && machine.volumes.has('/var/pools/p.meta'));
  });

  it('refuses while a device is open, and says by whom', async () => {
    const machine = await withPool('DMTHIN-store-1');
    machine.kernel.setOpeners(THIN, 1);
    await refuses(deactivate(machine), 'busy', /p-snap-1 is mounted on \/mnt, open in process 7; next step/);
    assert.deepEqual(machine.changes, []);
  });

  it('refuses while a device is part of another one, and names it', async () => {
    const machine = await withPool('DMTHIN-store-1');
    const above = {
      start: sectors(0),
      length: sectors(128),
      target: 'linear',
      params: `/dev/mapper/${THIN} 0`,
    };
    await machine.dm.create(dmName('above'), { uuid: '', table: [above] });
    machine.changes.length = 0;
    await refuses(deactivate(machine), 'busy', /p-snap-1 is .*part of \/dev\/mapper\/above; next step/);
    assert.deepEqual(machine.changes, []);
  });

  it('refuses while a device is active that dmthin did not make', async () => {
    const machine = await withPool('LVM-x');
    await refuses(deactivate(machine), 'busy', /p-snap-1, which dmthin did not make/);
    assert.deepEqual(machine.changes, []);
  });

  it('refuses while the pool itself is open', async () => {
    const machine = await withPool('DMTHIN-store-1');
    machine.kernel.setOpeners(POOL, 1);
    await refuses(deactivate(machine), 'busy', /in use: p is open/);
    assert.deepEqual(machine.changes, []);
  });

  it('refuses while a daemon runs', async () => {
    const machine = await withPool();
    const locked = new DmthinError('locked', { op: 'lock', what: 'another dmthin' });
    await refuses(
      deactivate(machine, { requireNoDaemon: () => Promise.reject(locked) }),
      'locked',
      /another/,
    );
    assert.deepEqual(machine.changes, []);
  });

  it('of nothing is not found', async () => {
    await refuses(deactivate(createMachine()), 'not_found', /no device of that name/);
  });
});

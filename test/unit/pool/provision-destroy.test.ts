import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError, type ErrorCode } from '../../../src/base/errors.ts';
import { bytes, deviceId, dmName, sectors } from '../../../src/base/units.ts';
import { thinTable } from '../../../src/dm/tables.ts';
import { type DestroyRequest, destroyPool } from '../../../src/pool/provision-destroy.ts';
import { readPoolReport } from '../../../src/pool/provision-status.ts';
import { createPool } from '../../../src/pool/provision.ts';
import { createMachine, type Machine } from '../../fakes/machine.ts';

const POOL = dmName('p');
const THIN = dmName('p-snap-1');
const DIRECTORY = '/var/pools';

async function withLoopPool(): Promise<Machine> {
  const machine = createMachine();
  machine.volumes.set(DIRECTORY, {
    kind: 'directory',
    size: 0,
    start: Buffer.alloc(0),
    signature: undefined,
    inUse: false,
  });
  await createPool(
    {
      name: POOL,
      backing: { kind: 'loop', directory: DIRECTORY, dataBytes: bytes(2 ** 30), metadataBytes: undefined },
      blockSectors: undefined,
      force: false,
    },
    machine,
  );
  machine.changes.length = 0;
  return machine;
}

async function withDiskPool(data: string, metadata: string): Promise<Machine> {
  const machine = createMachine();
  machine.addDisk('/dev/sda', 2 ** 30);
  machine.addDisk('/dev/sdb', 2 ** 26);
  for (const [loop, file] of [
    ['/dev/loop5', '/var/disk1'],
    ['/dev/loop6', '/var/disk2'],
  ] as const) {
    machine.addFile(file, 2 ** 30);
    machine.loops.set(loop, file);
  }
  const backing = { kind: 'devices', data, metadata } as const;
  await createPool({ name: POOL, backing, blockSectors: undefined, force: false }, machine);
  machine.changes.length = 0;
  return machine;
}

function destroy(machine: Machine, more: Partial<DestroyRequest> = {}, snapshots?: number, dryRun = false) {
  const request = { name: POOL, loopDirectory: undefined, deleteFiles: false, ...more };
  const { dm, devices } = machine;
  return destroyPool(request, { dm, devices, countSnapshots: () => Promise.resolve(snapshots) }, { dryRun });
}

async function addThin(machine: Machine): Promise<void> {
  await machine.dm.message(POOL, 'create_thin 1');
  const table = thinTable({ length: sectors(2048), poolDevice: '/dev/mapper/p', deviceId: deviceId(1) });
  machine.kernel.createDevice(THIN, '');
  machine.kernel.load(THIN, [table], false);
  machine.kernel.resume(THIN);
}

async function refuses(
  machine: Machine,
  attempt: () => Promise<unknown>,
  code: ErrorCode,
  words: RegExp,
): Promise<void> {
  const before = machine.state();
  await assert.rejects(attempt, (error) => {
    assert.ok(error instanceof DmthinError);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  });
  assert.deepEqual(machine.state(), before);
}

describe('pool destroy', () => {
  it('keeps the files unless told, so that the pool can be assembled again', async () => {
    const machine = await withLoopPool();
    const { kept } = await destroy(machine);
    assert.deepEqual(machine.changes, ['remove p', 'detachLoop /dev/loop0', 'detachLoop /dev/loop1']);
    assert.deepEqual(kept, ['/var/pools/p.data', '/var/pools/p.meta']);
  });

  it('removes everything when told', async () => {
    const machine = await withLoopPool();
    const { kept } = await destroy(machine, { deleteFiles: true });
    assert.deepEqual(kept, []);
    assert.deepEqual(machine.kernel.devices.size, 0);
    assert.deepEqual([...machine.loops], []);
    assert.deepEqual(
      [...machine.volumes.keys()].filter((path) => path.startsWith(`${DIRECTORY}/`)),
      [],
    );
  });

  it('can be finished after it was cut off', async () => {
    const whole = await withLoopPool();
    await destroy(whole, { deleteFiles: true });
    for (let cut = 1; cut < whole.changes.length; cut += 1) {
      const machine = await withLoopPool();
      machine.beforeChange = () => {
        if (machine.changes.length === cut) throw new Error('the process is gone');
      };
      await assert.rejects(destroy(machine, { deleteFiles: true }));
      machine.beforeChange = () => undefined;
      await destroy(machine, { deleteFiles: true, loopDirectory: DIRECTORY });
      assert.deepEqual(machine.state(), whole.state(), `cut at ${cut}`);
    }
  });

  it('finds the files of a pool that is not active, in the directory given', async () => {
    const machine = await withLoopPool();
    machine.reboot();
    await refuses(
      machine,
      () => destroy(machine, { deleteFiles: true }),
      'not_found',
      /no device of that name/,
    );
    await destroy(machine, { deleteFiles: true, loopDirectory: DIRECTORY });
    assert.deepEqual(machine.changes, ['deleteFile /var/pools/p.data', 'deleteFile /var/pools/p.meta']);
    await refuses(
      machine,
      () => destroy(machine, { deleteFiles: true, loopDirectory: DIRECTORY }),
      'not_found',
      /no device of that name/,
    );
  });

  it('never touches disks and loop devices that it did not make', async () => {
    for (const [data, metadata] of [
      ['/dev/sda', '/dev/sdb'],
      ['/dev/loop5', '/dev/loop6'],
    ] as const) {
      const machine = await withDiskPool(data, metadata);
      const { kept } = await destroy(machine, { deleteFiles: true });
      assert.deepEqual(machine.changes, ['remove p']);
      assert.deepEqual(kept, [data, metadata]);
    }
  });

  it('refuses while thin devices are active, and names them', async () => {
    const machine = await withLoopPool();
    await addThin(machine);
    await refuses(machine, () => destroy(machine), 'busy', /1 thin devices are active on it: p-snap-1;/);
    machine.kernel.remove(THIN, false);
    await destroy(machine);
  });

  it('refuses while something else has it open', async () => {
    const machine = await withLoopPool();
    machine.kernel.setOpeners(POOL, 1);
    await refuses(machine, () => destroy(machine), 'busy', /device is open/);
  });

  it('refuses while the store has snapshots on it', async () => {
    const machine = await withLoopPool();
    await refuses(
      machine,
      () => destroy(machine, {}, 3),
      'failed_precondition',
      /the snapshot store names 3 snapshots on it/,
    );
    await destroy(machine, {}, 0);
  });

  it('refuses what is no pool', async () => {
    const machine = await withLoopPool();
    await addThin(machine);
    await refuses(machine, () => destroy(machine, { name: THIN }), 'failed_precondition', /not a thin-pool/);
  });

  it('changes nothing in a dry run', async () => {
    const machine = await withLoopPool();
    const before = machine.state();
    const { steps } = await destroy(machine, { deleteFiles: true }, undefined, true);
    assert.deepEqual(
      steps.map((step) => step.do),
      ['remove_pool', 'detach', 'delete', 'detach', 'delete'],
    );
    assert.deepEqual(machine.state(), before);
  });
});

describe('a pool report', () => {
  it('has the figures of the kernel in bytes', async () => {
    const machine = await withLoopPool();
    await addThin(machine);
    const metadata = machine.kernel.pool(POOL);
    metadata.usedDataBlocks = 100;
    metadata.transactionId = 2n ** 60n;
    const report = await readPoolReport(POOL, machine);
    assert.equal(report.mode, 'rw');
    assert.deepEqual(report.figures, {
      data: { usedBytes: 100 * 65536, totalBytes: 2 ** 30 },
      metadata: { usedBytes: 10 * 4096, totalBytes: 2 ** 24 },
      transactionId: 2n ** 60n,
      needsCheck: false,
      whenFull: 'queue',
    });
    assert.equal(report.blockBytes, 65536);
    assert.equal(report.lowWaterBytes, 820 * 65536);
    assert.deepEqual(report.activeThins, [THIN]);
    assert.equal(report.backing.data.file, '/var/pools/p.data');
    assert.equal(report.backing.metadata.device, '/dev/loop1');
  });

  it('of a failed pool has no figures', async () => {
    const machine = await withLoopPool();
    machine.kernel.pool(POOL).mode = 'fail';
    const report = await readPoolReport(POOL, machine);
    assert.equal(report.mode, 'fail');
    assert.equal(report.figures, undefined);
    assert.match(report.raw, /thin-pool Fail$/);
  });

  it('of nothing, or of another device, is an error', async () => {
    const machine = await withLoopPool();
    await addThin(machine);
    await assert.rejects(readPoolReport(dmName('q'), machine), /no device of that name.*dmthin pool create/);
    await assert.rejects(readPoolReport(THIN, machine), /is not a thin-pool/);
  });
});

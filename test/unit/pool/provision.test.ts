import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError, type ErrorCode } from '../../../src/base/errors.ts';
import { bytes, dmName, sectors } from '../../../src/base/units.ts';
import { parsePoolTable } from '../../../src/dm/tables.ts';
import type { PoolBacking, PoolRequest } from '../../../src/pool/provision-request.ts';
import { createPool } from '../../../src/pool/provision.ts';
import { createMachine, type Machine, thinSuperblock } from '../../fakes/machine.ts';

const GIB = 2 ** 30;
const POOL = dmName('p');
const DATA = '/var/pools/p.data';
const META = '/var/pools/p.meta';

type LoopBacking = Extract<PoolBacking, { kind: 'loop' }>;

function loopRequest(backing: Partial<LoopBacking> = {}, more: Partial<PoolRequest> = {}): PoolRequest {
  return {
    name: POOL,
    backing: {
      kind: 'loop',
      directory: '/var/pools',
      dataBytes: bytes(GIB),
      metadataBytes: undefined,
      ...backing,
    },
    blockSectors: undefined,
    force: false,
    ...more,
  };
}

function diskRequest(more: Partial<PoolRequest> = {}): PoolRequest {
  return {
    name: POOL,
    backing: { kind: 'devices', data: '/dev/sda', metadata: '/dev/sdb' },
    blockSectors: undefined,
    force: false,
    ...more,
  };
}

function withDisks(): Machine {
  const machine = createMachine();
  machine.addDisk('/dev/sda', GIB);
  machine.addDisk('/dev/sdb', 2 ** 26);
  return machine;
}

const tableOf = ({ kernel }: Machine) => parsePoolTable(POOL, kernel.table(POOL));

/** The request is refused with this code and words, and nothing has changed. */
async function refuses(
  machine: Machine,
  request: PoolRequest,
  code: ErrorCode,
  words: RegExp,
): Promise<void> {
  const before = machine.state();
  const changes = machine.changes.length;
  await assert.rejects(createPool(request, machine), (error) => {
    assert.ok(error instanceof DmthinError);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  });
  assert.deepEqual(machine.changes.slice(changes), []);
  assert.deepEqual(machine.state(), before);
}

describe('a pool on loop files', () => {
  it('is made in order, with the chosen geometry', async () => {
    const machine = createMachine();
    const { outcome, warnings } = await createPool(loopRequest(), machine);
    assert.equal(outcome, 'made');
    assert.deepEqual(warnings, []);
    assert.deepEqual(machine.changes, [
      'makeDirectory /var/pools',
      `makeFile ${DATA}`,
      `makeFile ${META}`,
      `attachLoop ${DATA}`,
      `attachLoop ${META}`,
      'create p',
    ]);
    assert.deepEqual(parsePoolTable(POOL, machine.kernel.table(POOL)), {
      length: GIB / 512,
      metadataDevice: '/dev/loop1',
      dataDevice: '/dev/loop0',
      blockSectors: 128,
      lowWaterBlocks: 820,
      features: [],
    });
    assert.equal(machine.kernel.info(POOL)?.uuid, 'DMTHIN-POOL-p');
  });

  it('is left alone the second time', async () => {
    const machine = createMachine();
    await createPool(loopRequest(), machine);
    const before = machine.state();
    const { outcome, steps } = await createPool(loopRequest(), machine);
    assert.equal(outcome, 'present');
    assert.deepEqual(steps, []);
    assert.deepEqual(machine.state(), before);
  });

  it('is known again through any of several loop devices on its files', async () => {
    const machine = createMachine();
    await createPool(loopRequest(), machine);
    machine.loops.set('/dev/loop9', machine.loops.get('/dev/loop0') ?? '');
    const first = [...machine.loops].toSorted(([a], [b]) => (a < b ? 1 : -1));
    machine.loops.clear();
    for (const [device, file] of first) machine.loops.set(device, file);
    assert.equal((await createPool(loopRequest(), machine)).outcome, 'present');
  });

  it('is assembled after a reboot, sizes given or not, and never wiped', async () => {
    for (const request of [
      loopRequest(),
      loopRequest({ dataBytes: undefined }),
      loopRequest({}, { force: true }),
    ]) {
      const machine = createMachine();
      await createPool(loopRequest(), machine);
      const table = machine.kernel.table(POOL);
      machine.reboot();
      machine.changes.length = 0;
      assert.equal((await createPool(request, machine)).outcome, 'assembled');
      assert.deepEqual(machine.changes, [`attachLoop ${DATA}`, `attachLoop ${META}`, 'create p']);
      assert.deepEqual(machine.kernel.table(POOL), table);
    }
  });

  it('keeps its block size when it is assembled', async () => {
    const machine = createMachine();
    await createPool(loopRequest({}, { blockSectors: sectors(256) }), machine);
    machine.reboot();
    await createPool(loopRequest(), machine);
    assert.equal(parsePoolTable(POOL, machine.kernel.table(POOL)).blockSectors, 256);
    machine.reboot();
    await refuses(
      machine,
      loopRequest({}, { blockSectors: sectors(128) }),
      'failed_precondition',
      /blocks of 128 KiB, which cannot be changed to 64 KiB/,
    );
  });

  it('takes loop devices that are attached already', async () => {
    const machine = createMachine();
    await createPool(loopRequest(), machine);
    machine.kernel.remove(POOL, false);
    machine.changes.length = 0;
    assert.equal((await createPool(loopRequest(), machine)).outcome, 'assembled');
    assert.deepEqual(machine.changes, ['create p']);
  });

  it('is finished when making it was cut off between two steps', async () => {
    const whole = createMachine();
    await createPool(loopRequest(), whole);
    for (let cut = 0; cut < whole.changes.length; cut += 1) {
      const machine = createMachine();
      let dead = false;
      machine.beforeChange = () => {
        dead ||= machine.changes.length === cut;
        if (dead) throw new Error('the process is gone');
      };
      await assert.rejects(createPool(loopRequest(), machine));
      machine.beforeChange = () => undefined;
      await createPool(loopRequest(), machine);
      assert.deepEqual(machine.state(), whole.state(), `cut at ${cut}`);
    }
  });

  it('is made where a process died before its device had a table', async () => {
    const whole = createMachine();
    await createPool(loopRequest(), whole);
    const machine = createMachine();
    for (const [name, uuid] of [
      ['p', 'DMTHIN-POOL-p'],
      ['p_data', 'DMTHIN-POOL-p-data'],
      ['p_metadata', 'DMTHIN-POOL-p-metadata'],
      ['p_other', 'DMTHIN-POOL-p-other'],
    ] as const)
      machine.kernel.createDevice(dmName(name), uuid);
    await createPool(loopRequest(), machine);
    assert.equal(machine.kernel.info(POOL)?.live, true);
    assert.deepEqual(tableOf(machine), tableOf(whole));
    assert.deepEqual([...machine.kernel.devices.keys()].sort(), ['p', 'p_other']);
  });

  it('is not made over a device without a table that somebody else made, or is making', async () => {
    const machine = createMachine();
    machine.kernel.createDevice(POOL, 'DMTHIN-POOL-q');
    await refuses(machine, loopRequest(), 'failed_precondition', /has no table.*next step: dmsetup remove p/);
    machine.kernel.remove(POOL, false);
    machine.kernel.createDevice(POOL, 'DMTHIN-POOL-p');
    const lock = (): never => {
      throw new DmthinError('locked', { op: 'lock', what: 'another' });
    };
    const poolChanges = { ...machine.poolChanges, lock };
    await assert.rejects(createPool(loopRequest(), { ...machine, poolChanges }), /another/);
    assert.equal(machine.kernel.info(POOL)?.live, false);
  });

  it('leaves nothing behind when a step fails', async () => {
    const whole = createMachine();
    await createPool(loopRequest(), whole);
    for (const failing of whole.changes) {
      const machine = createMachine();
      const before = machine.state();
      machine.beforeChange = (change) => {
        if (change === failing) throw new DmthinError('busy', { op: change, what: 'injected' });
      };
      await assert.rejects(createPool(loopRequest(), machine), /injected/);
      assert.deepEqual(machine.state(), before, failing);
    }
  });

  it('says what could not be taken back', async () => {
    const machine = createMachine();
    machine.beforeChange = (change) => {
      if (change.startsWith('create')) throw new Error('no pool');
      if (change.startsWith('deleteFile')) throw new Error('no deletion');
    };
    await assert.rejects(
      createPool(loopRequest(), machine),
      /no pool; and taking back what was made failed: no deletion/,
    );
    assert.deepEqual([...machine.loops], []);
  });

  it('changes nothing in a dry run', async () => {
    const machine = createMachine();
    const before = machine.state();
    const { outcome, steps } = await createPool(loopRequest(), machine, { dryRun: true });
    assert.equal(outcome, 'made');
    assert.deepEqual(
      steps.map((step) => step.do),
      ['make_directory', 'make_file', 'make_file', 'attach', 'attach', 'activate'],
    );
    assert.deepEqual(machine.state(), before);
  });

  it('warns when the filesystem below can run full', async () => {
    const machine = createMachine();
    machine.freeBytes = GIB / 2;
    const { warnings } = await createPool(loopRequest(), machine);
    assert.match(warnings.join('\n'), /has 512 MiB free, less than the 1\.\d GiB that the pool may fill/);
  });
});

describe('a pool on loop files is refused', () => {
  const made = async (): Promise<Machine> => {
    const machine = createMachine();
    await createPool(loopRequest({ metadataBytes: bytes(2 ** 26) }), machine);
    return machine;
  };

  it('without a size, when there is no file', async () => {
    await refuses(
      createMachine(),
      loopRequest({ dataBytes: undefined }),
      'invalid_argument',
      /there is no file \/var\/pools\/p.data yet; next step: give --data-size/,
    );
  });

  it('with other sizes than the files have, active or not', async () => {
    const machine = await made();
    for (const step of ['active', 'rebooted']) {
      if (step === 'rebooted') machine.reboot();
      await refuses(
        machine,
        loopRequest({ dataBytes: bytes(2 * GIB) }),
        'failed_precondition',
        /p\.data is there with 1 GiB, and --data-size asks for 2 GiB/,
      );
      await refuses(
        machine,
        loopRequest({ metadataBytes: bytes(2 ** 27) }),
        'failed_precondition',
        /p\.meta is there with 64 MiB, and --metadata-size asks for 128 MiB/,
      );
    }
  });

  it('when its data file is gone and its metadata is not', async () => {
    const machine = await made();
    machine.reboot();
    machine.volumes.delete(DATA);
    await refuses(
      machine,
      loopRequest(),
      'failed_precondition',
      /its data file \/var\/pools\/p\.data is missing/,
    );
    await refuses(machine, loopRequest({}, { force: true }), 'failed_precondition', /is missing/);
  });

  it('when its metadata file is gone and its data is not', async () => {
    const machine = await made();
    machine.reboot();
    machine.volumes.delete(META);
    const data = machine.volumes.get(DATA);
    assert.ok(data);
    data.signature = 'ext4';
    await refuses(machine, loopRequest(), 'failed_precondition', /p\.data is not blank: it holds ext4/);
  });

  it('when a path is no file', async () => {
    const machine = createMachine();
    machine.volumes.set('/var/pools', {
      kind: 'directory',
      size: 0,
      start: Buffer.alloc(0),
      signature: undefined,
      inUse: false,
    });
    machine.addDisk(DATA, GIB);
    await refuses(machine, loopRequest(), 'invalid_argument', /is not a file; next step: for disks/);
  });

  it('when the name is taken by another device or another pool', async () => {
    const machine = await made();
    machine.kernel.createDevice(dmName('zero'), '');
    machine.kernel.load(
      dmName('zero'),
      [{ start: sectors(0), length: sectors(8), target: 'zero', params: '' }],
      false,
    );
    machine.kernel.resume(dmName('zero'));
    await refuses(
      machine,
      loopRequest({}, { name: dmName('zero') }),
      'already_exists',
      /a zero device has that name/,
    );
    await refuses(
      machine,
      loopRequest({ directory: '/var/other' }),
      'already_exists',
      /active with device \/dev\/loop0 for its data, not with \/var\/other\/p\.data/,
    );
  });

  it('under a name that leaves no room for its devices', async () => {
    await refuses(
      createMachine(),
      loopRequest({}, { name: dmName('x'.repeat(111)) }),
      'invalid_argument',
      /the name has 111 characters; 110 leave room/,
    );
  });
});

describe('a pool on disks', () => {
  it('is made, left alone, and assembled again', async () => {
    const machine = withDisks();
    assert.equal((await createPool(diskRequest(), machine)).outcome, 'made');
    assert.equal((await createPool(diskRequest(), machine)).outcome, 'present');
    machine.reboot();
    assert.equal((await createPool(diskRequest(), machine)).outcome, 'assembled');
    assert.deepEqual(machine.changes, ['create p', 'create p']);
  });

  it('takes disks that hold something only by force, and wipes them', async () => {
    const machine = withDisks();
    const [data, metadata] = [machine.volumes.get('/dev/sda'), machine.volumes.get('/dev/sdb')];
    assert.ok(data && metadata);
    data.signature = 'ext4';
    await refuses(
      machine,
      diskRequest(),
      'failed_precondition',
      /\/dev\/sda is not blank: it holds ext4.*--force/,
    );
    data.signature = undefined;
    metadata.start = Buffer.from('\0\0\0x');
    await refuses(
      machine,
      diskRequest(),
      'failed_precondition',
      /\/dev\/sdb is not blank: it holds data at byte 3/,
    );
    data.start = Buffer.concat([Buffer.alloc(2 ** 20 - 1), Buffer.from('x')]);
    assert.equal((await createPool(diskRequest({ force: true }), machine)).outcome, 'made');
    assert.deepEqual(machine.changes, ['wipe /dev/sda', 'wipe /dev/sdb', 'create p']);
  });

  it('is not made of disks in use, even by force', async () => {
    const machine = withDisks();
    const data = machine.volumes.get('/dev/sda');
    assert.ok(data);
    data.inUse = true;
    await refuses(machine, diskRequest({ force: true }), 'busy', /\/dev\/sda is in use/);
  });

  it('is never made over the metadata of another, whichever way round the disks are given', async () => {
    const machine = withDisks();
    await createPool(diskRequest(), machine);
    machine.reboot();
    const swapped = diskRequest({
      force: true,
      backing: { kind: 'devices', data: '/dev/sdb', metadata: '/dev/sda' },
    });
    await refuses(machine, swapped, 'failed_precondition', /\/dev\/sdb holds a thin pool's metadata/);
  });

  it('is not assembled on a data disk that is too small for it', async () => {
    const machine = withDisks();
    machine.addDisk('/dev/sdb', 2 ** 26, thinSuperblock(128, 2 ** 20));
    await refuses(
      machine,
      diskRequest(),
      'failed_precondition',
      /has 64 GiB of data, and \/dev\/sda only 1 GiB/,
    );
  });

  it('needs two block devices that are there', async () => {
    const machine = withDisks();
    machine.addFile('/var/file', GIB);
    const on = (data: string, metadata: string) =>
      diskRequest({ backing: { kind: 'devices', data, metadata } });
    await refuses(machine, on('/dev/sdx', '/dev/sdb'), 'not_found', /there is no data device \/dev\/sdx/);
    await refuses(
      machine,
      on('/var/file', '/dev/sdb'),
      'invalid_argument',
      /not a block device; next step: for files/,
    );
    await refuses(machine, on('/dev/sda', '/dev/sda'), 'invalid_argument', /cannot be both/);
  });
});

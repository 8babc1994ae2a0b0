import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ErrorCode } from '../../../src/base/errors.ts';
import { type Bytes, bytes, dmName, sectors } from '../../../src/base/units.ts';
import { linearTable } from '../../../src/dm/tables.ts';
import { describeStep } from '../../../src/pool/provision-apply.ts';
import { createPool } from '../../../src/pool/provision.ts';
import { createMachine, type Machine, thinSuperblock } from '../../fakes/machine.ts';
import { refuses } from '../../refuses.ts';

const POOL = dmName('p');
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** What would be done, in words. The fake kernel has no disks behind its linear devices: test/guest has the rest. */
async function plan(machine: Machine, metadataBytes?: Bytes, force = false): Promise<string[]> {
  const request = {
    name: POOL,
    backing: { kind: 'disk', device: '/dev/sda', metadataBytes },
    blockSectors: undefined,
    force,
  } as const;
  const { steps } = await createPool(request, machine, { dryRun: true });
  return steps.map((step) => describeStep(step, POOL));
}

async function isRefused(machine: Machine, code: ErrorCode, words: RegExp): Promise<void> {
  const before = machine.state();
  await refuses(plan(machine), code, words);
  assert.deepEqual(machine.state(), before);
}

function withDisk(start?: Buffer, size = 20 * GIB): Machine {
  const machine = createMachine();
  machine.addDisk('/dev/sda', size, start);
  return machine;
}

describe('a pool on one disk', () => {
  it('has its metadata in front, as large as is good for the disk or as asked', async () => {
    assert.deepEqual(await plan(withDisk()), [
      'split /dev/sda: its first 96 MiB for the metadata, the other 19.9 GiB for the data',
      'make a new pool: /dev/mapper/p of 19.9 GiB, blocks of 64 KiB, warning below 1019.2 MiB free',
    ]);
    const [split] = await plan(withDisk(), bytes(200.5 * MIB));
    assert.match(split ?? '', /its first 200 MiB/);
  });

  it('is split again where its metadata says', async () => {
    const superblock = thinSuperblock(128, 1000, (64 * MIB) / 4096);
    assert.deepEqual(await plan(withDisk(superblock), bytes(200 * MIB)), [
      'split /dev/sda: its first 64 MiB for the metadata, the other 19.9 GiB for the data',
      'assemble the pool that is there: /dev/mapper/p of 19.9 GiB, blocks of 64 KiB, warning below 1020.8 MiB free',
    ]);
  });

  it('takes no disk that holds something, is in use, is too small or is not there', async () => {
    const data = Buffer.alloc(MIB);
    data[MIB - 1] = 1;
    await isRefused(
      withDisk(data),
      'failed_precondition',
      /\/dev\/sda is not blank: it holds data at byte 1048575/,
    );
    const formatted = withDisk();
    const disk = formatted.volumes.get('/dev/sda');
    assert.ok(disk !== undefined);
    disk.signature = 'ext4';
    await isRefused(formatted, 'failed_precondition', /is not blank: it holds ext4.*--force/);
    assert.match((await plan(formatted, undefined, true))[0] ?? '', /^WIPE \/dev\/sda, which holds ext4/);
    disk.signature = undefined;
    disk.inUse = true;
    await isRefused(formatted, 'busy', /\/dev\/sda is in use/);
    await isRefused(withDisk(undefined, 32 * MIB), 'failed_precondition', /it has no room for data/);
    await isRefused(createMachine(), 'not_found', /there is no data device \/dev\/sda/);
  });

  it('is not taken from a metadata device that is all of its disk', async () => {
    const whole = withDisk(thinSuperblock(128, 1000, (64 * MIB) / 4096), 64 * MIB);
    await isRefused(
      whole,
      'failed_precondition',
      /holds the metadata of a pool and nothing else.*--metadata-device/,
    );
  });

  it('does not take parts of another disk', async () => {
    const machine = withDisk();
    machine.addDisk('/dev/sdb', GIB);
    machine.kernel.createDevice(dmName('p_data'), '');
    machine.kernel.load(dmName('p_data'), [linearTable(sectors(2048), '/dev/sdb')], false);
    machine.kernel.resume(dmName('p_data'));
    await isRefused(machine, 'already_exists', /stands on \/dev\/sdb, not on \/dev\/sda/);
  });
});

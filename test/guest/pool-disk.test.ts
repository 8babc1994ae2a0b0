/** One disk for metadata and data, on the real kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { deviceId, dmName, sectors } from '../../src/base/units.ts';
import { devicePath } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { thinTable } from '../../src/dm/tables.ts';
import { createLoopDevices } from './loop-devices.ts';
import { fails, succeeds } from './pool-cli.ts';

const MIB = 1024 ** 2;

test('one disk is split, found again, grown and given back', async () => {
  await using disks = await createLoopDevices();
  await using stack = new AsyncDisposableStack();
  const disk = await disks.attach(256 * MIB);
  const name = dmName(`disk${process.pid}`);
  const dm = stack.adopt(await openDmClient('auto', { run: runProcess, log: silentLog }), (client) =>
    client.close(),
  );
  const create = ['pool', 'create', name, '--device', disk, '--metadata-size', '8M'];
  const sizes = async () => {
    const status = JSON.parse(await succeeds('pool', 'status', name, '--json')) as Record<
      'data' | 'metadata',
      { total_bytes: number }
    >;
    return [status.data.total_bytes / MIB, status.metadata.total_bytes / MIB];
  };
  const thin = dmName(`${name}-thin`);
  const activate = () =>
    dm.create(thin, {
      uuid: '',
      table: [thinTable({ length: sectors(8192), poolDevice: devicePath(name), deviceId: deviceId(1) })],
    });
  const dd = (...args: string[]) => runChecked(runProcess, 'dd', ['bs=1M', 'count=2', ...args]);

  assert.match(
    await succeeds(...create, '--dry-run'),
    /split .* first 8 MiB .*\n.*\n {2}table: 0 507904 thin-pool /,
  );
  assert.deepEqual(
    (await dm.list()).filter((device) => device.name.startsWith(name)),
    [],
  );
  assert.match(await succeeds(...create), /is made\n/);
  assert.equal(await succeeds(...create), `pool ${name} is already there: nothing to do`);
  assert.deepEqual(await sizes(), [248, 8]);
  await dm.message(name, 'create_thin 1');
  await activate();
  await dd('if=/dev/urandom', `of=${devicePath(thin)}`, 'oflag=direct');
  const written = await dd(`if=${devicePath(thin)}`, 'status=none', 'iflag=direct');
  await dm.remove(thin);

  // As after a reboot.
  assert.match(await succeeds('pool', 'deactivate', name), /deactivate the device .*_data\n.*_metadata$/);
  assert.deepEqual(
    (await dm.list()).filter((device) => device.name.startsWith(name)),
    [],
  );
  await fails(
    1,
    /holds a thin pool's metadata/,
    'pool',
    'create',
    name,
    '--data-device',
    disk,
    '--metadata-device',
    await disks.attach(8 * MIB),
  );
  assert.match(
    await succeeds('pool', 'activate', name, '--device', disk),
    /is active\n {2}split .* first 8 MiB/,
  );
  await activate();
  assert.equal(await dd(`if=${devicePath(thin)}`, 'status=none', 'iflag=direct'), written);

  const file = (
    await runChecked(runProcess, 'losetup', ['--noheadings', '--output', 'BACK-FILE', disk])
  ).trim();
  await runChecked(runProcess, 'truncate', ['--size', '384M', file]);
  await runChecked(runProcess, 'losetup', ['--set-capacity', disk]);
  assert.match(
    await succeeds('pool', 'extend', name),
    /_data to 376 MiB, the end of .*\n.*: data 248 MiB -> 376 MiB$/,
  );
  assert.deepEqual(await sizes(), [376, 8]);
  assert.equal(await dd(`if=${devicePath(thin)}`, 'status=none', 'iflag=direct'), written);
  await dm.remove(thin);
  assert.match(await succeeds('pool', 'destroy', name), new RegExp(`kept: ${disk}$`));
  assert.deepEqual(
    (await dm.list()).filter((device) => device.name.startsWith(name)),
    [],
  );
});

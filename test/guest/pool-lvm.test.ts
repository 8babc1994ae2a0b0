/** A thin pool that the real LVM made: used as it is, and left to LVM. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { dmName } from '../../src/base/units.ts';
import { parseConfig } from '../../src/daemon/read-config.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { parsePoolStatus } from '../../src/dm/status.ts';
import { createLoopDevices } from './loop-devices.ts';
import { serve } from './node.ts';
import { fails, succeeds } from './pool-cli.ts';

const GROUP = 'dmthin-vg';
const POOL = dmName('dmthin--vg-pool');
/** Without udev, and devices of loop files only. Read by the daemon's own lvchange too. */
const LVM_CONFIG = `devices { obtain_device_list_from_udev = 0  external_device_info_source = "none"  scan = ["/dev"] }
activation { udev_sync = 0  udev_rules = 0  monitoring = 0  verify_udev_operations = 0 }
`;

const lvm = (...args: string[]) =>
  runChecked(runProcess, 'lvm', args, { env: { LVM_SUPPRESS_FD_WARNINGS: '1' } });

test('a pool of LVM is activated, used, left to LVM, and keeps its transaction id', async () => {
  await using stack = new AsyncDisposableStack();
  await writeFile('/etc/lvm/lvmlocal.conf', LVM_CONFIG);
  const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'lvm-'));
  stack.defer(() => rm(directory, { recursive: true }));
  const disks = stack.use(await createLoopDevices());
  const disk = await disks.attach(400 * 1024 ** 2);
  await lvm('vgcreate', GROUP, disk);
  stack.defer(() => lvm('vgremove', '--force', '--force', '--yes', GROUP).then(() => undefined));
  await lvm('lvcreate', '--type', 'thin-pool', '--size', '128M', '--name', 'pool', GROUP);
  const dm = stack.adopt(await openDmClient('auto', { run: runProcess }), (client) => client.close());
  const transactionId = async () => {
    const status = parsePoolStatus(POOL, await dm.status(POOL));
    return status.kind === 'ok' ? status.transactionId : undefined;
  };

  assert.match(
    await succeeds('pool', 'create', '--lvm', `${GROUP}/pool`),
    /pool_name = "dmthin--vg-pool", and in its table \[pool\] lvm = "dmthin-vg\/pool"/,
  );
  await lvm('lvchange', '--activate', 'n', `${GROUP}/pool`);
  assert.equal(await dm.info(POOL), undefined, 'as after a reboot without automatic activation');

  const parsed = parseConfig(
    `pool_name = "${POOL}"
base_image_size = "64MB"
root_path = "${directory}/root"
address = "${directory}/dmthin.sock"
transport = "ioctl"
[pool]
lvm = "${GROUP}/pool"`,
    'test',
  );
  assert.ok(parsed.ok);
  {
    await using serving = await serve(parsed.config);
    const before = await transactionId();
    await serving.client.prepare('a', '');
    await serving.client.commit('layer', 'a');
    await serving.client.prepare('container', 'layer');
    assert.equal(await transactionId(), before);
    await fails(
      1,
      /left to LVM|LVM alone may resize.*\n.*lvextend/,
      'pool',
      'extend',
      POOL,
      '--data-size',
      '256M',
    );
    // LVM grows it under the daemon, which goes on.
    await lvm('lvextend', '--size', '+64M', `${GROUP}/pool`);
    await serving.client.prepare('after', 'layer');
    assert.equal(
      parsePoolStatus(POOL, await dm.status(POOL)).raw.split(' ')[1],
      String((192 * 1024 ** 2) / 512),
    );
    await serving.client.remove('after');
    await serving.client.remove('container');
    await serving.client.remove('layer');
  }
  await fails(1, /it is LVM's.*\n.*lvremove/, 'pool', 'destroy', POOL, '--root', `${directory}/root`);
  assert.match(
    await succeeds('pool', 'deactivate', POOL, '--root', `${directory}/root`),
    /no devices of dmthin any more/,
  );
  await lvm('lvchange', '--activate', 'n', `${GROUP}/pool`);
  await fails(1, /no new one|LVM|lvchange/, 'pool', 'activate', POOL, '--lvm', `${GROUP}/nothing`);
  assert.match(
    await succeeds('pool', 'activate', POOL, '--lvm', `${GROUP}/pool`),
    /let LVM activate dmthin-vg\/pool/,
  );
});

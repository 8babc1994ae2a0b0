/** Both transports beside a running udevd: its links and ours agree, and nobody holds or scans our devices. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readFile, readlink, rm } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { dmName, sectors } from '../../src/base/units.ts';
import { devicePath } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';

const UDEVD = '/lib/systemd/systemd-udevd';
const CONTROL = '/run/udev/control';

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
const settle = () => runChecked(runProcess, 'udevadm', ['settle']);

// The guest sets it, and it would keep libdm from speaking to udev.
delete process.env['DM_DISABLE_UDEV'];
const skip = (await exists(UDEVD)) || (await exists(CONTROL)) ? false : 'this machine has no systemd-udevd';

describe('beside udevd', { skip }, () => {
  let udevd: ChildProcess | undefined;

  before(async () => {
    if (await exists(CONTROL)) return;
    await mkdir('/run/udev', { recursive: true });
    udevd = spawn(UDEVD, [], { stdio: 'ignore' });
    while (!(await exists(CONTROL))) await sleep(20);
  });
  after(async () => {
    if (udevd === undefined) return;
    udevd.kill();
    await once(udevd, 'exit');
    // What else runs here is to find a machine without udevd again.
    await rm(CONTROL);
  });

  for (const transport of ['ioctl', 'dmsetup'] as const) {
    it(`a device of the ${transport} transport keeps its link and is left alone`, async () => {
      const name = dmName(`dmthin-udev-${transport}`);
      const dm = await openDmClient(transport, { run: runProcess });
      const line = { start: sectors(0), length: sectors(2048), target: 'error', params: '' };
      const { major, minor } = await dm.create(name, { uuid: `DMTHIN-udev-${transport}`, table: [line] });
      assert.equal(await readlink(devicePath(name)), `../dm-${minor}`);
      await settle();
      assert.equal(await readlink(devicePath(name)), `../dm-${minor}`);
      assert.equal((await dm.info(name))?.openCount, 0);

      const record = (await readFile(`/run/udev/data/b${major}:${minor}`, 'utf8')).split('\n');
      assert.ok(record.includes(`S:mapper/${name}`), 'udev has claimed the link');
      if (transport === 'ioctl') {
        assert.ok(record.includes('E:DM_UDEV_DISABLE_OTHER_RULES_FLAG=1'), 'udev has got our flags');
        assert.ok(!record.some((text) => text.includes('disk/by-')), 'udev has not looked inside');
      }

      await dm.suspend(name);
      await dm.resume(name);
      await settle();
      assert.equal(await readlink(devicePath(name)), `../dm-${minor}`);

      assert.equal(await dm.remove(name), 'removed');
      assert.equal(await exists(devicePath(name)), false);
      await settle();
      await assert.rejects(readlink(devicePath(name)), { code: 'ENOENT' });
      assert.equal(await exists(`/run/udev/data/b${major}:${minor}`), false);
      await dm.close();
    });
  }

  it('no semaphore is left', async () => {
    const [header, ...semaphores] = (await readFile('/proc/sysvipc/sem', 'utf8')).trimEnd().split('\n');
    assert.match(header ?? '', /semid/);
    assert.deepEqual(semaphores, []);
  });
});

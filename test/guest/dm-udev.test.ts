/** Both transports beside a running udevd: the links are ours alone, and nobody holds or scans our devices. */
import assert from 'node:assert/strict';
import { access, readFile, readlink } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { runProcess } from '../../src/base/process.ts';
import { dmName, sectors } from '../../src/base/units.ts';
import { devicePath } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { noUdevd, startUdevd, type Udevd } from './udevd.ts';

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

describe('beside udevd', { skip: noUdevd }, () => {
  let udevd: Udevd;
  const settle = () => udevd.settle();

  before(async () => {
    udevd = await startUdevd({ ourRule: false });
  });
  after(() => udevd[Symbol.asyncDispose]());

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
      assert.ok(!record.includes(`S:mapper/${name}`), 'udev has not claimed the link');
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

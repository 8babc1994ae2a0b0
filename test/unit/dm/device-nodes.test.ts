import assert from 'node:assert/strict';
import { lstat, mkdir, mkdtemp, readdir, readlink, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { DmthinError } from '../../../src/base/errors.ts';
import { dmName } from '../../../src/base/units.ts';
import { createDeviceNodes, type DeviceNodes } from '../../../src/dm/device-nodes.ts';

const DEVICE = { name: dmName('snap-1'), major: 253, minor: 7 };

describe('device nodes', () => {
  let root: string;
  let link: string;
  let nodes: DeviceNodes;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dmthin-nodes-'));
    link = join(root, 'dev/mapper/snap-1');
    await mkdir(join(root, 'dev/mapper'), { recursive: true });
    await mkdir(join(root, 'udev/data'), { recursive: true });
    // Plain files stand for the kernel's block nodes.
    await writeFile(join(root, 'dev/dm-7'), '');
    nodes = createDeviceNodes({ dev: join(root, 'dev'), udev: join(root, 'udev') });
  });
  afterEach(() => rm(root, { recursive: true }));

  const startUdev = () => writeFile(join(root, 'udev/control'), '');
  const claim = (text: string) => writeFile(join(root, 'udev/data/b253:7'), text);
  const isThere = () =>
    lstat(link).then(
      () => true,
      () => false,
    );
  const forgetter = () => nodes.beforeRemoval(() => Promise.resolve(DEVICE), DEVICE.name);

  it('are linked to the kernel’s own', async () => {
    await nodes.ensure(DEVICE);
    assert.equal(await readlink(link), '../dm-7');
    await nodes.ensure(DEVICE);
    assert.equal(await readlink(link), '../dm-7');
    assert.deepEqual(await readdir(join(root, 'dev/mapper')), ['snap-1']);
  });

  it('leave a link alone that udev has made', async () => {
    await symlink('../dm-7', link);
    const { ino } = await lstat(link);
    await nodes.ensure(DEVICE);
    assert.equal((await lstat(link)).ino, ino);
  });

  it('replace a stale link and a foreign node', async () => {
    await symlink('../dm-3', link);
    await nodes.ensure(DEVICE);
    assert.equal(await readlink(link), '../dm-7');
    await unlink(link);
    await writeFile(link, 'a block node of libdm');
    await nodes.ensure(DEVICE);
    assert.equal(await readlink(link), '../dm-7');
    assert.deepEqual(await readdir(join(root, 'dev/mapper')), ['snap-1']);
  });

  it('make no link to nothing', async () => {
    await assert.rejects(nodes.ensure({ ...DEVICE, minor: 8 }), (error) => {
      assert.ok(error instanceof DmthinError);
      assert.deepEqual([error.code, error.detail.device], ['unsupported', DEVICE.name]);
      assert.match(error.detail.nextStep ?? '', /devtmpfs/);
      return true;
    });
    assert.deepEqual(await readdir(join(root, 'dev/mapper')), []);
  });

  it('go with their device when udev is absent', async () => {
    for (const outcome of ['removed', 'deferred'] as const) {
      await nodes.ensure(DEVICE);
      const forget = await forgetter();
      assert.equal(await isThere(), true);
      await forget(outcome);
      assert.equal(await isThere(), false);
      await forget(outcome);
    }
  });

  it('go with their device when udev runs without rules for them', async () => {
    await startUdev();
    assert.equal(await nodes.udevRuns(), true);
    await nodes.ensure(DEVICE);
    await claim('I:123\nS:mapper/snap-11\nE:X=mapper/snap-1\n');
    const forget = await forgetter();
    await forget('removed');
    assert.equal(await isThere(), false);
  });

  it('are left to udev when it has claimed them', async () => {
    await startUdev();
    await nodes.ensure(DEVICE);
    await claim('I:123\nS:disk/by-id/dm-name-snap-1\nS:mapper/snap-1\n');
    const forget = await forgetter();
    await forget('deferred');
    assert.equal(await isThere(), true);

    let forgotten = false;
    const forgetting = forget('removed').then(() => {
      forgotten = true;
    });
    await turn();
    assert.equal(forgotten, false);
    await unlink(link);
    await forgetting;
  });

  it('go even when udev does not take a claimed one away', async () => {
    await startUdev();
    await nodes.ensure(DEVICE);
    await claim('S:mapper/snap-1\n');
    await (
      await forgetter()
    )('removed');
    assert.equal(await isThere(), false);
  });

  it('cost no look-up where udev is absent', async () => {
    await nodes.beforeRemoval(() => assert.fail('looked up'), DEVICE.name);
  });
});

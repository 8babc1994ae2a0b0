import assert from 'node:assert/strict';
import { lstat, mkdir, mkdtemp, readdir, readlink, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { dmName } from '../../../src/base/units.ts';
import { createDeviceNodes, type DeviceNodes } from '../../../src/dm/device-nodes.ts';

const DEVICE = { name: dmName('snap-1'), minor: 7, deferredRemove: false };

describe('device nodes', () => {
  let root: string;
  let link: string;
  let nodes: DeviceNodes;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dmthin-nodes-'));
    link = join(root, 'dev/mapper/snap-1');
    await mkdir(join(root, 'dev/mapper'), { recursive: true });
    // A plain file stands for the kernel's block node.
    await writeFile(join(root, 'dev/dm-7'), '');
    nodes = createDeviceNodes({ dev: join(root, 'dev'), udev: join(root, 'udev') });
  });
  afterEach(() => rm(root, { recursive: true }));

  const entries = () => readdir(join(root, 'dev/mapper'));

  it('are linked to the kernel’s own, and taken away', async () => {
    nodes.ensure(DEVICE);
    assert.equal(await readlink(link), '../dm-7');
    nodes.forget(DEVICE.name);
    assert.deepEqual(await entries(), []);
    nodes.forget(DEVICE.name);
  });

  it('leave a link alone that is right', async () => {
    await symlink('../dm-7', link);
    const { ino } = await lstat(link);
    nodes.ensure(DEVICE);
    assert.equal((await lstat(link)).ino, ino);
  });

  it('replace a stale link and a foreign node', async () => {
    await symlink('../dm-3', link);
    nodes.ensure(DEVICE);
    assert.equal(await readlink(link), '../dm-7');
    await unlink(link);
    await writeFile(link, 'a block node of libdm');
    nodes.ensure(DEVICE);
    assert.equal(await readlink(link), '../dm-7');
    assert.deepEqual(await entries(), ['snap-1']);
  });

  it('make no link to nothing', async () => {
    assert.throws(
      () => nodes.ensure({ ...DEVICE, minor: 8 }),
      (error) => {
        assert.ok(error instanceof DmthinError);
        assert.deepEqual([error.code, error.detail.device], ['unsupported', DEVICE.name]);
        assert.match(error.detail.nextStep ?? '', /devtmpfs/);
        return true;
      },
    );
    assert.deepEqual(await entries(), []);
  });

  it('make no link to a device that is about to go', async () => {
    nodes.ensure({ ...DEVICE, deferredRemove: true });
    assert.deepEqual(await entries(), []);
  });

  it('tell whether udevd runs', async () => {
    assert.equal(nodes.udevRuns(), false);
    await mkdir(join(root, 'udev'));
    await writeFile(join(root, 'udev/control'), '');
    assert.equal(nodes.udevRuns(), true);
  });
});

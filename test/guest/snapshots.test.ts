/** The daemon on the real kernel: what a container runtime does with it, with contents. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmod,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { bytes, dmName } from '../../src/base/units.ts';
import { FS_TYPES } from '../../src/filesystem/types.ts';
import { createNode, MiB, mounted, type Serving } from './node.ts';
import { refuses } from '../refuses.ts';

async function digestTree(directory: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(directory, { recursive: true })).sort()) {
    const path = join(directory, name);
    const facts = await lstat(path);
    hash.update(JSON.stringify([name, facts.mode, facts.uid, facts.nlink, facts.isFile() ? facts.size : 0]));
    if (facts.isFile()) hash.update(await readFile(path));
  }
  return hash.digest('hex');
}

async function writeLayer(
  { client }: Serving,
  name: string,
  parent: string,
  body: (directory: string) => Promise<void>,
): Promise<string> {
  const mounts = await client.prepare(`${name}-active`, parent);
  const digest = await mounted(mounts, async (directory) => {
    await body(directory);
    return digestTree(directory);
  });
  await client.commit(name, `${name}-active`);
  return digest;
}

for (const transport of ['ioctl', 'dmsetup'] as const) {
  for (const fsType of transport === 'ioctl' ? FS_TYPES : (['ext4'] as const)) {
    test(`${transport}, ${fsType}: layers keep their contents, children do not touch them, removal gives all back`, async () => {
      await using node = await createNode({ dataBytes: 1024 * MiB });
      const size = fsType === 'xfs' ? 320 * MiB : 64 * MiB;
      await using serving = await node.serve({ fsType, transport, baseImageSizeBytes: bytes(size) });
      const { client } = serving;
      // The base is made by the first parentless Prepare and stays.
      await client.prepare('warm', '');
      await client.remove('warm');
      const before = await node.poolStatus();

      const lower = await writeLayer(serving, 'lower', '', async (directory) => {
        assert.deepEqual(await readdir(directory), [], 'a new root is empty, without lost+found');
        await mkdir(join(directory, 'etc/deep'), { recursive: true });
        await writeFile(join(directory, 'etc/config'), 'one');
        await writeFile(join(directory, 'big'), Buffer.alloc(4 * MiB, 7));
        await link(join(directory, 'etc/config'), join(directory, 'hard'));
        await symlink('etc/config', join(directory, 'soft'));
        await chmod(join(directory, 'big'), 0o4755);
      });
      const upper = await writeLayer(serving, 'upper', 'lower', async (directory) => {
        assert.equal(await readFile(join(directory, 'soft'), 'utf8'), 'one');
        await writeFile(join(directory, 'etc/config'), 'two');
        await rename(join(directory, 'big'), join(directory, 'moved'));
        await rm(join(directory, 'etc/deep'), { recursive: true });
      });
      assert.notEqual(lower, upper);
      for (const [name, digest] of [
        ['lower', lower],
        ['upper', upper],
      ] as const) {
        const mounts = await client.view(`view-${name}`, name);
        assert.deepEqual(
          mounts.map((mount) => [mount.type, mount.options]),
          [[fsType, fsType === 'xfs' ? ['ro', 'nouuid'] : ['ro']]],
        );
        assert.equal(await mounted(mounts, digestTree), digest, `contents of ${name}`);
        await client.remove(`view-${name}`);
      }
      const usage = await client.usage('lower');
      assert.ok(usage.sizeBytes >= 4 * MiB && usage.sizeBytes < 16 * MiB, `size ${usage.sizeBytes}`);
      assert.ok(usage.inodes >= 5 && usage.inodes <= 9, `inodes ${usage.inodes}`);

      await client.remove('upper');
      await client.remove('lower');
      const after = await node.poolStatus();
      assert.equal(after.usedDataBlocks, before.usedDataBlocks);
      const devices = (await node.dm.list())
        .map(({ name }) => name)
        .filter((name) => name.startsWith(node.poolName));
      assert.deepEqual(devices, [node.poolName]);
    });
  }
}

suite('on ext4', () => {
  test('two children of one layer at once do not see each other; both can be mounted', async () => {
    await using node = await createNode();
    await using serving = await node.serve();
    await writeLayer(serving, 'layer', '', (directory) => writeFile(join(directory, 'file'), 'layer'));
    const [a, b] = await Promise.all([
      serving.client.prepare('a', 'layer'),
      serving.client.prepare('b', 'layer'),
    ]);
    await mounted(a, (inA) =>
      mounted(b, async (inB) => {
        await writeFile(join(inA, 'file'), 'a');
        await writeFile(join(inB, 'only-b'), 'b');
        assert.equal(await readFile(join(inB, 'file'), 'utf8'), 'layer');
        assert.deepEqual((await readdir(inA)).sort(), ['file']);
      }),
    );
  });

  test('commit of a snapshot that is still mounted: everything written so far is in it, and children grow from it', async () => {
    await using node = await createNode();
    await using serving = await node.serve();
    const { client } = serving;
    const mounts = await client.prepare('a', '');
    await mounted(mounts, async (directory) => {
      await writeFile(join(directory, 'file'), 'before');
      await client.commit('layer', 'a');
      await writeFile(join(directory, 'late'), 'after');
      const child = await client.prepare('child', 'layer');
      await mounted(child, async (inChild) =>
        assert.equal(await readFile(join(inChild, 'file'), 'utf8'), 'before'),
      );
      await client.remove('child');
      await refuses(client.remove('layer'), 'failed_precondition', /in use.*EBUSY/);
    });
    await client.remove('layer');
    assert.deepEqual(
      (await node.dm.list()).map(({ name }) => name).filter((name) => name.startsWith(node.poolName)),
      [node.poolName],
    );
  });

  test('a mounted snapshot cannot be removed and is as before; others go meanwhile', async () => {
    await using node = await createNode();
    await using serving = await node.serve();
    const { client } = serving;
    await client.prepare('idle', '');
    const mounts = await client.prepare('busy', '');
    await mounted(mounts, async (directory) => {
      await writeFile(join(directory, 'file'), 'mine');
      await Promise.all([
        refuses(client.remove('busy'), 'failed_precondition', /in use; nothing was changed.*EBUSY.*findmnt/),
        client.remove('idle'),
      ]);
      await writeFile(join(directory, 'more'), 'still writable');
    });
    await mounted(await client.mounts('busy'), async (directory) =>
      assert.equal(await readFile(join(directory, 'file'), 'utf8'), 'mine'),
    );
    await client.remove('busy');
  });

  test('removals that wait for open devices keep nobody else waiting, and go on once those are closed', async () => {
    await using node = await createNode();
    await using serving = await node.serve({ busyTimeoutMs: 60_000 });
    const { client } = serving;
    const busy = Array.from({ length: 12 }, (_, index) => `busy-${index}`);
    const opened = new Map<string, FileHandle>();
    for (const key of busy) {
      const [mount] = await client.prepare(key, '');
      opened.set(key, await open(mount?.source ?? '', 'r'));
    }
    let removed = 0;
    const removals = busy.map((key) => client.remove(key).then(() => (removed += 1)));
    await client.prepare('a', '');
    await client.commit('layer', 'a');
    await client.view('view', 'layer');
    await client.mounts('view');
    await client.update('view', { kind: 'set', labels: { note: 'x' } });
    assert.equal((await client.stat('view')).labels['note'], 'x');
    await client.usage('view');
    await client.remove('view');
    await client.remove('layer');
    await client.cleanup();
    assert.equal(removed, 0, 'all of that while every removal waits');
    for (const file of opened.values()) await file.close();
    await Promise.all(removals);
    assert.deepEqual(await Array.fromAsync(client.list()), []);
  });

  test('with busy_timeout = "0s" an open device is refused at once', async () => {
    await using node = await createNode();
    await using serving = await node.serve({ busyTimeoutMs: 0 });
    const { client } = serving;
    const [mount] = await client.prepare('busy', '');
    const file = await open(mount?.source ?? '', 'r');
    await refuses(client.remove('busy'), 'failed_precondition', /EBUSY/);
    await file.close();
    await client.remove('busy');
  });

  test('discard_blocks gives the space back to the file behind the pool', async () => {
    await using node = await createNode();
    await using serving = await node.serve({ discardBlocks: true });
    const { client } = serving;
    const mounts = await client.prepare('a', '');
    const allocated = async (): Promise<number> => (await stat(node.dataFile)).blocks * 512;
    const before = await allocated();
    await mounted(mounts, (directory) => writeFile(join(directory, 'big'), Buffer.alloc(32 * MiB, 1)));
    const full = await allocated();
    assert.ok(full - before > 30 * MiB, `${full - before} bytes more are allocated`);
    await client.remove('a');
    assert.ok(full - (await allocated()) > 30 * MiB, 'they are given back');
  });

  test('async_remove: Cleanup deletes', async () => {
    await using node = await createNode();
    await using serving = await node.serve({ asyncRemove: true });
    const { client } = serving;
    await client.prepare('a', '');
    const { usedDataBlocks } = await node.poolStatus();
    await mounted(await client.prepare('b', ''), (directory) =>
      writeFile(join(directory, 'big'), Buffer.alloc(MiB, 1)),
    );
    await client.remove('b');
    await client.prepare('b', '');
    await client.cleanup();
    await client.remove('b');
    await client.cleanup();
    assert.equal((await node.poolStatus()).usedDataBlocks, usedDataBlocks);
  });

  for (const fsType of FS_TYPES) {
    test(`${fsType}: a larger size by label or by setting is really there, and nothing shrinks`, async () => {
      await using node = await createNode({ dataBytes: 1024 * MiB });
      const small = fsType === 'xfs' ? 320 * MiB : 48 * MiB;
      const label = 'containerd.io/snapshot/max-size';
      const sizeOf = (directory: string): Promise<number> =>
        import('node:fs/promises').then(async ({ statfs }) => {
          const facts = await statfs(directory);
          return facts.blocks * facts.bsize;
        });
      {
        await using serving = await node.serve({ fsType, baseImageSizeBytes: bytes(small) });
        await writeLayer(serving, 'layer', '', (directory) => writeFile(join(directory, 'file'), 'x'));
        const mounts = await serving.client.prepare('big', 'layer', { [label]: String(2 * small) });
        await mounted(mounts, async (directory) => {
          assert.ok((await sizeOf(directory)) > 1.5 * small);
          assert.equal(await readFile(join(directory, 'file'), 'utf8'), 'x');
          assert.deepEqual(await readdir(directory), ['file']);
        });
        await serving.client.commit('big-layer', 'big');
      }
      await using serving = await node.serve({ fsType, baseImageSizeBytes: bytes(small) });
      await mounted(await serving.client.prepare('child', 'big-layer'), async (directory) =>
        assert.ok((await sizeOf(directory)) > 1.5 * small, 'a child is never smaller than its parent'),
      );
    });
  }

  test('a 128-layer chain', async () => {
    await using node = await createNode();
    await using serving = await node.serve();
    let parent = '';
    for (let index = 0; index < 128; index += 1) {
      const key = `active-${index}`;
      await serving.client.prepare(key, parent);
      await serving.client.commit(`layer-${index}`, key);
      parent = `layer-${index}`;
    }
    await mounted(await serving.client.prepare('top', parent), async (directory) =>
      assert.deepEqual(await readdir(directory), []),
    );
    await refuses(serving.client.remove('layer-126'), 'failed_precondition', /has children/);
    await serving.client.remove('top');
    for (let index = 127; index >= 0; index -= 1) await serving.client.remove(`layer-${index}`);
  });

  test('32 callers at once: 100 prepares, then 100 removes', async () => {
    await using node = await createNode();
    await using serving = await node.serve();
    await writeLayer(serving, 'layer', '', (directory) => writeFile(join(directory, 'file'), 'x'));
    const keys = Array.from({ length: 100 }, (_, index) => `k${index}`);
    const mounts = await Promise.all(keys.map((key) => serving.client.prepare(key, 'layer')));
    assert.equal(new Set(mounts.map(([mount]) => mount?.source)).size, 100);
    await Promise.all(keys.map((key) => serving.client.remove(key)));
    assert.deepEqual(
      (await node.dm.list()).map(({ name }) => name).filter((name) => name.startsWith(node.poolName)),
      [node.poolName],
    );
  });

  test('a filesystem that is unmounted at this moment delays Commit and Prepare, and fails neither', async () => {
    await using node = await createNode();
    await using serving = await node.serve();
    const { client } = serving;
    const directory = join(node.directory, 'mounted');
    await mkdir(directory);
    for (let round = 0; round < 20; round += 1) {
      const [mount] = await client.prepare(`active-${round}`, '');
      await runChecked(runProcess, 'mount', ['-t', 'ext4', mount?.source ?? '', directory]);
      await writeFile(join(directory, 'file'), Buffer.alloc(MiB, round));
      const unmounted = sleep(round % 8).then(() => runChecked(runProcess, 'umount', [directory]));
      await client.commit(`layer-${round}`, `active-${round}`);
      const child = await client.prepare(`child-${round}`, `layer-${round}`);
      await unmounted;
      await mounted(child, async (where) =>
        assert.ok((await readFile(join(where, 'file'))).equals(Buffer.alloc(MiB, round))),
      );
      await client.remove(`child-${round}`);
    }
  });

  test('a layer can be removed at the very moment at which its device goes with its last close', async () => {
    await using node = await createNode();
    await using serving = await node.serve();
    const { client } = serving;
    const directory = join(node.directory, 'mounted');
    await mkdir(directory);
    for (let round = 0; round < 50; round += 1) {
      const [mount] = await client.prepare('active', '');
      const file = await open(mount?.source ?? '', 'r');
      await client.commit('layer', 'active');
      await file.close();
      await client.remove('layer');
    }
  });

  test('a device that somebody removed comes back with the next Mounts', async () => {
    await using node = await createNode();
    await using serving = await node.serve();
    const [mount] = await serving.client.prepare('a', '');
    assert.ok(mount !== undefined);
    await node.dm.remove(dmName(mount.source.replace('/dev/mapper/', '')));
    const again = await serving.client.mounts('a');
    await mounted(again, (directory) => writeFile(join(directory, 'file'), 'x'));
  });
});

/** The daemon with a pool that its configuration describes: made, found again after a reboot, never taken from others. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { createLoopPoolNode } from './loop-pool.ts';
import { mounted } from './node.ts';
import { fails, loopsBelow, succeeds } from './pool-cli.ts';

test('after a reboot the daemon has its pool, its devices and their contents again before it answers', async () => {
  await using node = await createLoopPoolNode();
  {
    await using serving = await node.serve();
    const { client } = serving;
    await mounted(await client.prepare('l', ''), (directory) =>
      writeFile(join(directory, 'layer'), 'in the layer'),
    );
    await client.commit('layer', 'l');
    await mounted(await client.prepare('container', 'layer'), (directory) =>
      writeFile(join(directory, 'own'), 'in the container'),
    );
  }
  await node.forget();
  assert.deepEqual(await loopsBelow(node.directory), []);

  await using serving = await node.serve();
  const { client } = serving;
  const active = (await node.dm.list()).filter(({ name }) => name.startsWith(`${node.name}-`));
  assert.equal(active.length, 1, 'the container has its device, the layer needs none');
  await mounted(await client.mounts('container'), async (directory) => {
    assert.equal(await readFile(join(directory, 'layer'), 'utf8'), 'in the layer');
    assert.equal(await readFile(join(directory, 'own'), 'utf8'), 'in the container');
  });
  await client.prepare('another', 'layer');
  await client.remove('another');
});

test('a disk that is not blank, and a disk that is missing, are not formatted; the daemon says why and goes on by itself', async () => {
  await using node = await createLoopPoolNode();
  const data = join(node.files, `${node.name}.data`);
  await mkdir(node.files);
  await runChecked(runProcess, 'mkfs.ext4', ['-q', '-b', '4096', data, '16384']);
  const before = await readFile(data);
  {
    await using serving = await node.serve();
    const refusal = {
      code: 'unavailable',
      message: /\.data is not blank: it holds ext4; next step: make sure that nothing on it is needed/,
    };
    await assert.rejects(serving.client.prepare('a', ''), refusal);
    assert.ok(before.equals(await readFile(data)), 'not a byte has changed');
    await rm(data);
    await serving.client.prepare('a', '');
  }
  await node.forget();
  await rename(node.files, `${node.files}-elsewhere`);
  await using serving = await node.serve();
  await assert.rejects(serving.client.prepare('b', ''), {
    code: 'unavailable',
    message:
      /\.meta is not there, and the store at .* has devices on it; next step: is a filesystem not mounted/,
  });
  await assert.rejects(stat(node.files), { code: 'ENOENT' });
  await rename(`${node.files}-elsewhere`, node.files);
  await serving.client.prepare('b', '');
  await mounted(await serving.client.mounts('a'), () => Promise.resolve());
});

test('deactivate and activate: refused while in use, by whom; then out of the kernel and back', async () => {
  await using node = await createLoopPoolNode();
  const config = join(node.directory, 'config.toml');
  await writeFile(config, node.configText);
  const root = ['--root', join(node.directory, 'root')];
  const deactivate = ['pool', 'deactivate', node.name, ...root];
  {
    await using serving = await node.serve();
    const mounts = await serving.client.prepare('a', '');
    await fails(75, /another dmthin \(process \d+\) uses this state directory/, ...deactivate);
    await serving.daemon.stop();
    await mounted(mounts, (directory) =>
      fails(75, new RegExp(`-snap-\\d+ is mounted on ${directory}\n`), ...deactivate),
    );
  }
  assert.match(
    await succeeds(...deactivate),
    /is not active any more\n {2}deactivate the device .*-snap-\d+\n/,
  );
  assert.deepEqual(await loopsBelow(node.directory), []);
  assert.equal(await node.dm.info(node.name), undefined);
  const activate = ['pool', 'activate', node.name, '--config', config];
  assert.match(await succeeds(...activate), /is active\n {2}attach a loop device/);
  assert.match(await succeeds(...activate), /is active already/);
  await using serving = await node.serve();
  await mounted(await serving.client.mounts('a'), () => Promise.resolve());
});

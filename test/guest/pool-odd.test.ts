/** Pools that are not as the daemon left them: renamed, of another age than the store, somebody else's. */
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Log } from '../../src/base/log.ts';
import { silentLog } from '../../src/base/log.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { deviceId, dmName, sectors } from '../../src/base/units.ts';
import { devicePath } from '../../src/dm/client.ts';
import { thinTable } from '../../src/dm/tables.ts';
import { createLoopPoolNode } from './loop-pool.ts';
import { createNode, mounted } from './node.ts';

const rename = (from: string, to: string) => runChecked(runProcess, 'dmsetup', ['rename', from, to]);

test('a pool that somebody renamed is missed by name, found by what holds its files, and used again when it is back', async () => {
  await using node = await createLoopPoolNode();
  const other = `${node.name}-other`;
  {
    await using serving = await node.serve();
    await serving.client.prepare('a', '');
    await rename(node.name, other);
    // The gate looks every two seconds; a call that fails before then says what the kernel said.
    await assert.rejects(serving.client.prepare('b', ''), { code: 'unavailable' });
    await rename(other, node.name);
    await serving.client.prepare('b', '');
    await rename(node.name, other);
  }
  await using serving = await node.serve();
  await assert.rejects(serving.client.prepare('c', ''), {
    code: 'unavailable',
    message: new RegExp(
      `in use: /dev/mapper/${other} stands on it; next step: .*dmsetup rename /dev/mapper/${other} ${node.name}`,
    ),
  });
  await rename(other, node.name);
  await serving.client.prepare('c', '');
  await mounted(await serving.client.mounts('a'), () => Promise.resolve());
});

test('a store from a backup: it is said, and no device of the pool is deleted or given twice', async () => {
  await using node = await createLoopPoolNode();
  const root = join(node.directory, 'root');
  const backup = join(node.directory, 'backup');
  let armed = false;
  const onTransaction = (point: string): void => {
    if (!armed || point !== 'after Prepare: intent') return;
    armed = false;
    cpSync(root, backup, { recursive: true });
  };
  {
    await using serving = await node.serve({}, { onTransaction });
    const { client } = serving;
    await client.prepare('first', '');
    armed = true;
    // In the backup this snapshot is being made; by the end it is a layer.
    await mounted(await client.prepare('l', ''), (directory) => writeFile(join(directory, 'file'), 'later'));
    await client.commit('layer', 'l');
    await client.prepare('child', 'layer');
  }
  const layerId = 3;
  rmSync(root, { recursive: true });
  cpSync(backup, root, { recursive: true });

  const errors: string[] = [];
  const log: Log = { ...silentLog, error: (_facts, message) => errors.push(message) };
  await using serving = await node.serve({}, { log });
  assert.match(errors.join('\n'), /the store at .* and the pool are not of the same age/);
  const { client } = serving;
  await mounted(await client.mounts('first'), () => Promise.resolve());
  for (const key of ['x', 'y', 'z']) await client.prepare(key, '');
  for (const key of ['x', 'y', 'z']) await client.remove(key);

  // What the store does not know is still there, byte for byte.
  const name = dmName(`${node.name}-found`);
  const { major = 0, minor = 0 } = (await node.dm.info(node.name)) ?? {};
  const length = sectors((64 * 1024 ** 2) / 512);
  const table = thinTable({ length, poolDevice: `${major}:${minor}`, deviceId: deviceId(layerId) });
  await node.dm.create(name, { uuid: '', table: [table] });
  await mounted(
    [{ type: 'ext4', source: devicePath(name), target: '', options: ['ro'] }],
    async (directory) => assert.equal(await readFile(join(directory, 'file'), 'utf8'), 'later'),
  );
});

test("the transaction id of a pool that dmthin did not make is nobody's business but its owner's", async () => {
  await using node = await createNode();
  await node.dm.message(node.poolName, 'set_transaction_id 0 17');
  {
    await using serving = await node.serve();
    await serving.client.prepare('a', '');
  }
  assert.equal((await node.poolStatus()).transactionId, 17n);
  await node.dm.message(node.poolName, 'set_transaction_id 17 23');
  await node.dm.message(node.poolName, 'create_thin 5');
  await using serving = await node.serve();
  await serving.client.mounts('a');
  for (const key of ['b', 'c', 'd', 'e']) await serving.client.prepare(key, '');
  assert.equal((await node.poolStatus()).transactionId, 23n);
});

/** docs/operations.md from the first command to the last, the daemon as a process of its own. Needs root and device-mapper. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { retry } from '../../src/base/retry.ts';
import { runProcess } from '../../src/base/process.ts';
import { dmName } from '../../src/base/units.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { connect, type SnapshotsClient } from '../../src/grpc/client.ts';
import { removePoolAndDevices } from './node.ts';
import { detachLoopsBelow, fails, succeeds } from './pool-cli.ts';

const PROGRAM = new URL('../../bin/dmthin', import.meta.url).pathname;
const POOL = dmName('dmthin-operations');

let directory: string;
let daemon: ChildProcess | undefined;

before(async () => {
  directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'operations-'));
});
after(async () => {
  daemon?.kill('SIGKILL');
  const dm = await openDmClient('auto', { run: runProcess });
  if ((await dm.info(POOL)) !== undefined) await removePoolAndDevices(dm, POOL);
  await dm.close();
  await detachLoopsBelow(directory);
  await rm(directory, { recursive: true });
});

/** @returns when the daemon answers. */
async function serve(config: string, address: string): Promise<SnapshotsClient> {
  daemon = spawn(PROGRAM, ['serve', '--config', config], { stdio: ['ignore', 'ignore', 'inherit'] });
  const answering = { codes: ['unavailable'], deadlineMs: 120_000, pauseMs: 100, maxPauseMs: 1000 } as const;
  return retry(answering, () => connect(address));
}

async function stop(): Promise<unknown> {
  assert.ok(daemon);
  const ended = once(daemon, 'exit');
  daemon.kill('SIGTERM');
  return (await ended)[0];
}

it('a node is set up, used and taken down with the commands of docs/operations.md', async () => {
  const [files, root, config, address] = ['pool', 'state', 'config.toml', 'dmthin.sock'].map((name) =>
    join(directory, name),
  );
  assert.ok(files !== undefined && root !== undefined && config !== undefined && address !== undefined);
  const create = ['pool', 'create', POOL, '--loop-dir', files, '--data-size', '512M'];
  const destroy = ['pool', 'destroy', POOL, '--root', root, '--delete-files'];

  assert.match(await succeeds(...create), /^pool dmthin-operations is made\n/);
  await writeFile(
    config,
    `pool_name = "${POOL}"\nbase_image_size = "64MB"\nroot_path = "${root}"\naddress = "${address}"\nlog_level = "warn"\n`,
  );
  assert.match(await succeeds('config', 'check', config), /config\.toml: ok\n/);

  const client = await serve(config, address);
  await client.prepare('extract layer', '');
  await client.commit('layer', 'extract layer');
  await client.prepare('container', 'layer');
  assert.match(
    await succeeds('snapshots', 'ls', '--config', config),
    /^KIND .*\ncommitted .* layer .*\nactive .* container +layer$/,
  );
  assert.equal(
    await succeeds('snapshots', 'tree', '--address', address),
    'layer  committed\n└─ container  active',
  );
  const { usages } = JSON.parse(await succeeds('snapshots', 'usage', '--address', address, '--json')) as {
    usages: { name: string; size_bytes: number; inodes: number }[];
  };
  assert.deepEqual(usages.map(({ name }) => name).toSorted(), ['container', 'layer']);
  assert.ok(usages.every(({ size_bytes: size, inodes }) => size >= 0 && inodes >= 0));
  await fails(75, /1 thin devices are active on it: dmthin-operations-snap-\d+\n/, ...destroy);
  client.close();

  assert.equal(await stop(), 0);
  await fails(69, /no dmthin daemon answers/, 'snapshots', 'ls', '--address', address);
  const again = await serve(config, address);
  await again.remove('container');
  again.close();
  assert.equal(await stop(), 0);
  await fails(1, /the snapshot store names 1 snapshots on it/, ...destroy);

  const last = await serve(config, address);
  await last.remove('layer');
  last.close();
  assert.equal(await stop(), 0);
  assert.match(await succeeds(...destroy), /^pool dmthin-operations is gone\n/);
  assert.deepEqual(await readdir(files), []);
  await fails(1, /there is no device of that name/, 'pool', 'status', POOL);
});

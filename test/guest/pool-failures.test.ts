/**
 * Disks that fail under a pool in use, and pools that fill up. In each case: what was acknowledged is there afterwards, what
 * is refused says why, Stat and List answer all the time, and when the operator has followed docs/recovery.md the same
 * daemon goes on.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { dmName } from '../../src/base/units.ts';
import { devicePath } from '../../src/dm/client.ts';
import { refuses } from '../refuses.ts';
import { createFaultyNode, type FaultyNode, type FaultyNodeOptions } from './faulty-node.ts';
import { MiB, mounted, type Serving } from './node.ts';
import { breakSpaceMaps } from './break-metadata.ts';
import { follow, readRunbook } from './runbook.ts';

// Read when the daemon asks whether it may give a thread away; bin/dmthin sets it.
process.env['UV_THREADPOOL_SIZE'] = '16';

const followed = new Set<string>();
const runbook = (heading: string, options?: { readonly first?: boolean }): Promise<string> => {
  followed.add(heading);
  return follow(heading, options);
};

/** A layer with known contents, acknowledged before anything breaks, and a container on it. */
interface World extends AsyncDisposable {
  readonly node: FaultyNode;
  readonly client: Serving['client'];
  readonly layers: Map<string, Buffer>;
  /** The device of the snapshot `container`. */
  readonly container: string;
}

async function createWorld(options: FaultyNodeOptions = {}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await createFaultyNode(options));
  const { client } = stack.use(await node.serve());
  const layers = new Map<string, Buffer>();
  await addLayer({ client, layers }, 'before', '');
  const [mount] = await client.prepare('container', 'before');
  assert.ok(mount !== undefined);
  const owned = stack.move();
  return {
    ...{ node, client, layers, container: mount.source },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** As containerd unpacks a layer: no sync before the unmount. */
async function addLayer(
  { client, layers }: Pick<World, 'client' | 'layers'>,
  name: string,
  parent: string,
): Promise<void> {
  const contents = randomBytes(2 * MiB);
  const mounts = await client.prepare(`extract ${name}`, parent);
  await mounted(mounts, (directory) => writeFile(join(directory, name), contents));
  await client.commit(name, `extract ${name}`);
  layers.set(name, contents);
}

/** Whatever has happened to the pool. */
async function answersQueries({ client, layers }: World): Promise<void> {
  assert.equal((await client.stat('container')).kind, 'active');
  const names: string[] = [];
  for await (const page of client.list()) names.push(...page.map(({ name }) => name));
  for (const name of ['container', ...layers.keys()]) assert.ok(names.includes(name), name);
}

/** The same daemon, with all that was acknowledged, makes, reads and removes snapshots again. */
async function goesOn(world: World): Promise<void> {
  const { client, layers } = world;
  await answersQueries(world);
  await addLayer(world, `after ${layers.size}`, 'before');
  for (const [name, contents] of layers) {
    const mounts = await client.view('look', name);
    await mounted(mounts, async (directory) => {
      assert.ok(contents.equals(await readFile(join(directory, name))), `${name} is as it was committed`);
    });
    await client.remove('look');
  }
  await client.usage('container');
  await client.remove('container');
}

/** An error that a person can act on. */
const told = (cause: RegExp, nextStep: RegExp): RegExp =>
  new RegExp(`${cause.source}.*; pool status: \\d+ \\d+ thin-pool .*; next step: .*${nextStep.source}`);

async function writeTo(path: string, sizeMiB: number): Promise<void> {
  const to = [`of=${path}`, 'bs=1M', `count=${sizeMiB}`, 'oflag=direct', 'conv=notrunc'];
  await runChecked(runProcess, 'dd', ['if=/dev/urandom', ...to], { timeoutMs: 60_000 });
}

suite('a pool whose disks fail', { concurrency: false, timeout: 180_000 }, () => {
  test('writes to the data disk fail: what lost a write is never committed, the rest goes on', async () => {
    await using world = await createWorld();
    const { node, client } = world;
    const mounts = await client.prepare('extract lost', 'before');
    await mounted(mounts, async (directory) => {
      await node.data.become('writes fail');
      await writeFile(join(directory, 'lost'), randomBytes(MiB));
    });
    const commit = (): Promise<unknown> => client.commit('lost', 'extract lost');
    await refuses(
      commit(),
      'internal',
      told(/Commit: flush: not all that was written is on the disk .*snap-\d+\): EIO/, /dmesg/),
    );
    await refuses(commit(), 'failed_precondition', /was lost: an earlier Commit met EIO in flush/);
    await answersQueries(world);
    await node.data.heal();
    await runbook('The data disk fails');
    await refuses(commit(), 'failed_precondition', /was lost: .*make it anew/);
    await client.remove('extract lost');
    await goesOn(world);
  });

  test('the data disk is gone: nothing is acknowledged that needs it, until it is back', async () => {
    await using world = await createWorld();
    const { node, client } = world;
    await client.prepare('idle', 'before');
    await node.data.become('gone');
    await refuses(client.usage('container'), 'internal', told(/Usage: .*cannot be read.*EIO/, /dmesg/));
    await refuses(client.commit('new', 'idle'), 'internal', told(/Commit: .*EIO/, /dmesg/));
    await answersQueries(world);
    await node.data.heal();
    await runbook('The data disk fails');
    await goesOn(world);
  });

  test('writes to the metadata disk fail: a device that could not be noted is not acknowledged', async () => {
    await using world = await createWorld();
    const { node, client } = world;
    const mounts = await client.mounts('container');
    await mounted(mounts, (directory) => writeFile(join(directory, 'file'), 'x', { flush: true }));
    await node.metadata.become('writes fail');
    const check = told(/needs a check/, /docs\/recovery\.md/);
    await refuses(client.prepare('unnoted', 'before'), 'unavailable', check);
    await refuses(client.remove('container'), 'unavailable', check);
    await refuses(client.commit('new', 'container'), 'unavailable', check);
    await refuses(client.stat('unnoted'), 'not_found');
    await answersQueries(world);
    await node.metadata.heal();
    await runbook('The metadata is broken');
    await client.prepare('unnoted', 'before');
    await goesOn(world);
  });

  test('the metadata disk is gone: the pool fails, and comes back with all that was acknowledged', async () => {
    await using world = await createWorld();
    const { node, client } = world;
    await node.metadata.become('gone');
    const failed = told(/has failed/, /docs\/recovery\.md/);
    await refuses(client.prepare('unnoted', 'before'), 'unavailable', failed);
    assert.equal((await node.status()).kind, 'fail');
    for (const call of [
      () => client.mounts('container'),
      () => client.usage('container'),
      () => client.commit('new', 'container'),
      () => client.remove('container'),
      () => client.view('new', 'before'),
    ])
      await refuses(call(), 'unavailable', failed);
    await answersQueries(world);
    await node.metadata.heal();
    await runbook('The metadata is broken');
    await goesOn(world);
  });

  test('metadata that thin_check does not like is repaired, with all that was acknowledged', async () => {
    await using world = await createWorld();
    const { node, client } = world;
    await node.removePool();
    await breakSpaceMaps(node.metadata.path);
    await node.createPool();
    await assert.rejects(client.prepare('unnoted', 'before'), {
      message: told(/(ENOTBLK|EILSEQ|needs a check|has failed)/, /docs\/recovery\.md/),
    });
    await answersQueries(world);
    assert.match(await runbook('The metadata is broken'), /\+ thin_repair /);
    await goesOn(world);
  });

  test('a pool in need of a check, as it comes after a crash, is refused until it was checked', async () => {
    await using world = await createWorld();
    const { node, client } = world;
    await node.metadata.become('writes fail');
    await refuses(client.prepare('unnoted', 'before'), 'unavailable');
    await node.metadata.heal();
    await node.removePool();
    await node.createPool();
    await sleep(2500);
    await refuses(client.prepare('unnoted', 'before'), 'unavailable', told(/needs a check/, /recovery\.md/));
    await answersQueries(world);
    await runbook('The metadata is broken');
    await goesOn(world);
  });
});

suite('a pool that fills up', { concurrency: false, timeout: 180_000 }, () => {
  test('data, writers wait: all that they write is there when the pool has grown', async () => {
    await using world = await createWorld({ dataBytes: 64 * MiB });
    const { node, client } = world;
    const [filler] = await client.prepare('filler', '');
    assert.ok(filler !== undefined);
    await client.prepare('idle', '');
    const writing = writeTo(filler.source, 60);
    while (!(await node.status()).raw.includes('out_of_data_space')) await sleep(50);
    const full = told(/out of data space/, /grow the pool/);
    await refuses(client.prepare('new', 'before'), 'resource_exhausted', full);
    await refuses(client.view('new', 'before'), 'resource_exhausted', full);
    await refuses(client.commit('new', 'idle'), 'resource_exhausted', full);
    await answersQueries(world);
    await node.data.heal(256 * MiB);
    await runbook('The data space is full');
    await writing;
    await client.commit('new', 'idle');
    await goesOn(world);
  });

  test('data, writers are refused: what they lost is never committed', async () => {
    await using world = await createWorld({ dataBytes: 64 * MiB, features: ['error_if_no_space'] });
    const { node, client } = world;
    const mounts = await client.prepare('extract lost', 'before');
    const [filler] = await client.prepare('filler', 'before');
    assert.ok(filler !== undefined);
    await writeTo(filler.source, 44);
    await mounted(mounts, (directory) => writeFile(join(directory, 'lost'), randomBytes(20 * MiB)));
    assert.match((await node.status()).raw, /out_of_data_space/);
    await refuses(
      client.commit('lost', 'extract lost'),
      'resource_exhausted',
      told(/out of data space/, /grow the pool/),
    );
    await answersQueries(world);
    await node.data.heal(256 * MiB);
    await runbook('The data space is full');
    await refuses(client.commit('lost', 'extract lost'), 'failed_precondition', /was lost/);
    await client.remove('extract lost');
    await goesOn(world);
  });

  test('metadata: what is there goes on, and so does the rest when it has grown', async () => {
    await using world = await createWorld({ metadataBytes: 2 * MiB });
    const { node, client } = world;
    for (let id = 1000; !(await node.status()).raw.includes(' ro '); id += 1)
      await node.dm.message(node.pool, `create_thin ${id}`).catch(() => undefined);
    const full = told(/its metadata is full|needs a check/, /grow the pool|recovery\.md/);
    await refuses(client.prepare('new', 'before'), 'unavailable', full);
    await refuses(client.commit('new', 'container'), 'unavailable', full);
    const mounts = (await client.mounts('container')).map((mount) => ({ ...mount, options: ['ro'] }));
    await mounted(mounts, (directory) => readFile(join(directory, 'before')));
    await answersQueries(world);
    await node.metadata.heal(16 * MiB);
    const needsCheck = (await node.status()).raw.includes('needs_check');
    await runbook(needsCheck ? 'The metadata is broken' : 'The metadata is full');
    followed.add('The metadata is full');
    await goesOn(world);
  });
});

suite('a pool that somebody takes away', { concurrency: false, timeout: 180_000 }, () => {
  test('it is missed, and found again', async () => {
    await using world = await createWorld();
    const { node, client } = world;
    await node.removePool();
    await sleep(2500);
    const missing = /does not exist .*ENXIO; next step: .*dmthin pool activate/;
    await refuses(client.prepare('new', 'before'), 'unavailable', missing);
    await refuses(client.mounts('container'), 'unavailable', missing);
    await answersQueries(world);
    await runbook('The pool is missing', { first: false });
    await goesOn(world);
  });

  test('replaced between two looks, under the same number: its devices are activated again', async () => {
    await using world = await createWorld();
    const { node, container } = world;
    const before = await node.dm.info(node.pool);
    await node.removePool();
    await node.createPool();
    assert.equal((await node.dm.info(node.pool))?.minor, before?.minor);
    const name = dmName(container.slice('/dev/mapper/'.length));
    while ((await node.dm.info(name)) === undefined) await sleep(100);
    await using device = await open(devicePath(name), 'r');
    await device.read(Buffer.alloc(512), 0, 512, 0);
    await device.close();
    await goesOn(world);
  });

  test('loaded read-only: refused, and used again when it is loaded otherwise', async () => {
    await using world = await createWorld();
    const { node, client } = world;
    await node.reload(['read_only']);
    const readOnly = told(/is read-only/, /dmesg/);
    await refuses(client.prepare('new', 'before'), 'unavailable', readOnly);
    await refuses(client.remove('container'), 'unavailable', readOnly);
    await client.mounts('container');
    await answersQueries(world);
    await node.reload([]);
    await goesOn(world);
  });
});

test('every case of docs/recovery.md that has commands was followed', () => {
  const cases = [...readRunbook()].filter(([, blocks]) => blocks.length > 0).map(([heading]) => heading);
  assert.deepEqual(cases.slice(1).toSorted(), [...followed].toSorted());
});

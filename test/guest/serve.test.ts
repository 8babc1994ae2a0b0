/** `dmthin serve` as a program: signals, locks, sockets, crashes, and what it does to the machine. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { dmName } from '../../src/base/units.ts';
import { connect } from '../../src/grpc/client.ts';
import { createNode, mounted, type TestNode } from './node.ts';

const DMTHIN = join(import.meta.dirname, '../../bin/dmthin');

interface Program extends AsyncDisposable {
  readonly child: ChildProcess;
  output(): string;
  /** Sends the signal and waits for the end. @returns exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | string>;
  ended: Promise<number | string>;
}

async function writeConfig(node: TestNode, more = ''): Promise<string> {
  const { rootPath, address, poolName } = node.config();
  const path = join(node.directory, 'config.toml');
  const text = `pool_name = "${poolName}"\nroot_path = "${rootPath}"\naddress = "${address}"\nbase_image_size = "64MB"\n${more}`;
  await writeFile(path, text);
  return path;
}

function start(argv: readonly string[]): Program {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  return {
    child,
    ended,
    output: () => output,
    end(signal) {
      child.kill(signal);
      return ended;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Waits until the daemon answers. */
async function answering(program: Program, text = 'dmthin serves'): Promise<void> {
  while (!program.output().includes(text)) {
    assert.equal(program.child.exitCode, null, program.output());
    await sleep(50);
  }
}

test('a second daemon is refused with the reason, and the first goes on; SIGTERM ends with 0 and no socket', async () => {
  await using node = await createNode();
  const config = await writeConfig(node);
  const { address } = node.config();
  await using first = start([DMTHIN, 'serve', '--config', config]);
  await answering(first);
  assert.equal(statSync(address).mode & 0o777, 0o600);
  await using second = start([DMTHIN, 'serve', '--config', config]);
  assert.equal(await second.ended, 75);
  assert.match(
    second.output(),
    new RegExp(`another dmthin \\(process ${first.child.pid ?? ''}\\).*is locked`),
  );
  await using elsewhere = start([
    DMTHIN,
    'serve',
    '--config',
    config,
    '--root',
    join(node.directory, 'other'),
  ]);
  assert.equal(await elsewhere.ended, 75, 'the socket is live');
  assert.ok(existsSync(address), elsewhere.output());
  const client = await connect(address);
  await client.prepare('a', '');
  client.close();
  assert.equal(await first.end('SIGTERM'), 0);
  assert.ok(!existsSync(address));
});

test('after SIGKILL under load the next start serves on the stale socket, with all that was acknowledged and no more', async () => {
  await using node = await createNode();
  const config = await writeConfig(node);
  const { address } = node.config();
  await using first = start([DMTHIN, 'serve', '--config', config]);
  await answering(first);
  const client = await connect(address);
  const [mount] = await client.prepare('l', '');
  assert.ok(mount !== undefined);
  await mounted([mount], (directory) => writeFile(join(directory, 'file'), 'kept'));
  await client.commit('layer', 'l');
  const acknowledged: string[] = [];
  const load = Array.from({ length: 20 }, async (_, index) => {
    await client.prepare(`k${index}`, 'layer');
    acknowledged.push(`k${index}`);
  });
  await load[0];
  first.child.kill('SIGKILL');
  await Promise.allSettled(load);
  client.close();
  await first.ended;
  assert.ok(existsSync(address), 'the socket file is stale now');

  await using second = start([DMTHIN, 'serve', '--config', config]);
  await answering(second);
  const again = await connect(address);
  const names: string[] = [];
  for await (const page of again.list()) names.push(...page.map(({ name }) => name));
  for (const key of acknowledged) assert.ok(names.includes(key), `${key} was acknowledged`);
  for (const key of names.filter((name) => name !== 'layer')) {
    await mounted(await again.mounts(key), async (directory) =>
      assert.equal(await readFile(join(directory, 'file'), 'utf8'), 'kept'),
    );
  }
  const active = (await node.dm.list()).filter(({ name }) => name.startsWith(`${node.poolName}-snap-`));
  assert.equal(active.length, names.length - 1, 'one device for each active snapshot');
  for (const index of Array.from({ length: 20 }).keys()) {
    if (!names.includes(`k${index}`)) await again.prepare(`k${index}`, 'layer');
  }
  again.close();
  assert.equal(await second.end('SIGINT'), 0);
});

test('with the ioctl transport no process is started by any of the ten calls', async () => {
  await using node = await createNode();
  await using serving = await node.serve();
  const { client } = serving;
  const started: string[] = [];
  // Node tells of every process that it starts, whoever asked for it.
  const channel = diagnostics.channel('child_process');
  const onStart = (message: unknown): void => {
    const { process: child } = message as { process: ChildProcess };
    child.once('spawn', () => started.push(child.spawnargs.join(' ')));
  };
  channel.subscribe(onStart);
  try {
    await client.prepare('warm', '');
    assert.ok(started[0]?.startsWith('mkfs.ext4'), `the base device's mkfs is seen: ${started.join('; ')}`);
    started.length = 0;
    await client.prepare('a', '');
    await client.commit('layer', 'a');
    await client.prepare('b', 'layer');
    await client.view('v', 'layer');
    await client.mounts('b');
    await client.usage('b');
    await client.stat('b');
    await client.update('b', { kind: 'set', labels: { x: 'y' } });
    for await (const page of client.list()) assert.equal(page.length, 4);
    for (const key of ['b', 'v', 'layer', 'warm']) await client.remove(key);
    await client.cleanup();
    assert.deepEqual(started, []);
  } finally {
    channel.unsubscribe(onStart);
  }
});

/** Overwrites the first `sizeMiB` of a file with what cannot be shared. */
async function fill(directory: string, sizeMiB: number): Promise<void> {
  const size = ['bs=1M', `count=${sizeMiB}`, 'conv=fsync,notrunc'];
  await runChecked(runProcess, 'dd', ['if=/dev/urandom', `of=${directory}/fill`, ...size], {
    timeoutMs: 120_000,
  });
}

test('pool trouble at start and later: the daemon stays up, says what and what to do, and goes on by itself', async () => {
  await using node = await createNode({ dataBytes: 128 * 1024 * 1024 });
  const config = await writeConfig(node);
  await node.removePool();
  await using program = start([DMTHIN, 'serve', '--config', config]);
  await answering(program);
  const client = await connect(node.config().address);
  await assert.rejects(client.prepare('a', ''), {
    code: 'unavailable',
    message: /the thin pool does not exist.*ENXIO; next step: .*dmthin pool create/,
  });
  await node.createPool();
  await client.prepare('a', '');
  const mounts = await client.mounts('a');

  // Filled for real: what does not fit is refused before the pool is hurt.
  await mounted(mounts, async (directory) => {
    await fill(directory, 50);
    await client.commit('layer', 'a');
    let refused: string | undefined;
    for (let round = 0; refused === undefined; round += 1) {
      assert.ok(round < 60, 'the pool gets low');
      const { usedDataBlocks, totalDataBlocks } = await node.poolStatus();
      const freeMiB = ((totalDataBlocks - usedDataBlocks) * 64) / 1024;
      refused = await client
        .prepare(`more${round}`, 'layer')
        .then(() => undefined)
        .catch((error: unknown) => (error instanceof Error ? error.message : 'no message'));
      if (refused !== undefined) break;
      await mounted(await client.mounts(`more${round}`), (inside) => fill(inside, freeMiB > 24 ? 12 : 1));
    }
    assert.match(refused, /only .*% of the thin pool's data space is free.* rw .*next step: grow/);
    await fill(directory, 1);
  });
  for await (const page of client.list()) {
    for (const { name } of page.toReversed()) if (name !== 'layer') await client.remove(name);
  }
  await client.prepare('after', 'layer');
  client.close();
  assert.equal(await program.end('SIGTERM'), 0);
  assert.equal((await node.dm.info(dmName(node.poolName)))?.live, true);
});

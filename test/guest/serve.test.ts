/** `dmthin serve` as a program: signals, locks, sockets, crashes, and what it does to the machine. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProcess } from '../../src/base/process.ts';
import { dmName } from '../../src/base/units.ts';
import { connect } from '../../src/grpc/client.ts';
import { createNode, mounted, type TestNode } from './node.ts';

const DMTHIN = join(import.meta.dirname, '../../bin/dmthin');

interface Program {
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
  const first = start([DMTHIN, 'serve', '--config', config]);
  await answering(first);
  assert.equal(statSync(address).mode & 0o777, 0o600);
  const second = start([DMTHIN, 'serve', '--config', config]);
  assert.equal(await second.ended, 75);
  assert.match(
    second.output(),
    new RegExp(`another dmthin \\(process ${first.child.pid ?? ''}\\).*is locked`),
  );
  const elsewhere = start([DMTHIN, 'serve', '--config', config, '--root', join(node.directory, 'other')]);
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
  const first = start([DMTHIN, 'serve', '--config', config]);
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

  const second = start([DMTHIN, 'serve', '--config', config]);
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
  const config = await writeConfig(node);
  const trace = join(node.directory, 'trace');
  const traced = start([
    'strace',
    '-f',
    '-qq',
    '-e',
    'trace=execve,vfork,fork',
    '-o',
    trace,
    DMTHIN,
    'serve',
    '--config',
    config,
  ]);
  await answering(traced);
  const client = await connect(node.config().address);
  await client.prepare('warm', '');
  const before = await readFile(trace, 'utf8');
  assert.match(before, /mkfs\.ext4/, 'the trace sees the one mkfs, of the base device');
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
  const started = (await readFile(trace, 'utf8'))
    .slice(before.length)
    .split('\n')
    .filter((line) => line !== '');
  assert.deepEqual(started, []);
  client.close();
  await traced.end('SIGTERM');
});

test('pool trouble at start and later: the daemon stays up, says what and what to do, and goes on by itself', async () => {
  await using node = await createNode({ dataBytes: 128 * 1024 * 1024 });
  const config = await writeConfig(node);
  await node.removePool();
  const program = start([DMTHIN, 'serve', '--config', config]);
  await answering(program);
  const client = await connect(node.config().address);
  await assert.rejects(client.prepare('a', ''), {
    code: 'unavailable',
    message: /the thin pool does not exist.*ENXIO; next step: .*dmthin pool create/,
  });
  await node.createPool(['read_only']).catch(() => node.createPool());
  await node.removePool();
  await node.createPool();
  await client.prepare('a', '');
  const mounts = await client.mounts('a');

  // Filled for real: what does not fit is refused before the pool is hurt.
  await mounted(mounts, async (directory) => {
    await runProcess('dd', ['if=/dev/urandom', `of=${directory}/fill`, 'bs=1M', 'count=50', 'conv=fsync'], {
      timeoutMs: 120_000,
    });
    await client.commit('fill', 'a');
    for (let round = 0; ; round += 1) {
      assert.ok(round < 10, 'the pool gets full');
      const refused = await client.prepare(`more${round}`, 'fill').then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : 'no error'),
      );
      if (refused !== undefined) {
        assert.match(refused, /only .*% of the thin pool's data space is free.*thin-pool.*next step: grow/);
        break;
      }
      await mounted(await client.mounts(`more${round}`), (inside) =>
        runProcess(
          'dd',
          ['if=/dev/urandom', `of=${inside}/fill`, 'bs=1M', 'count=50', 'conv=fsync,notrunc'],
          { timeoutMs: 120_000 },
        ),
      );
    }
  });
  for await (const page of client.list()) {
    for (const { name } of page.toReversed()) if (name !== 'fill') await client.remove(name);
  }
  await client.prepare('after', 'fill');
  client.close();
  assert.equal(await program.end('SIGTERM'), 0);
  assert.equal((await node.dm.info(dmName(node.poolName)))?.live, true);
});

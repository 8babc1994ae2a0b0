/** `dmthin serve` under a service manager: readiness, status, watchdog, and a socket that outlives the daemon. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect } from '../../src/grpc/client.ts';
import { type NotifySocket, openListeningSocket, openNotifySocket } from '../fakes/service-manager.ts';
import { createNode, type TestNode } from './node.ts';

const DMTHIN = join(import.meta.dirname, '../../bin/dmthin');

let node: TestNode;
let configPath: string;
let notify: NotifySocket;
let notifyPath: string;

before(async () => {
  node = await createNode();
  configPath = join(node.directory, 'config.toml');
  notifyPath = join(node.directory, 'notify.sock');
  notify = openNotifySocket(notifyPath);
  const { rootPath, address, poolName } = node.config();
  await writeFile(
    configPath,
    `pool_name = "${poolName}"\nroot_path = "${rootPath}"\naddress = "${address}"\nbase_image_size = "64MB"\n`,
  );
});
after(async () => {
  notify[Symbol.dispose]();
  await node[Symbol.asyncDispose]();
});

interface Service extends AsyncDisposable {
  readonly child: ChildProcess;
  output(): string;
  stop(): Promise<unknown>;
}

/** Starts the daemon as systemd does. @param fd of a listening socket, passed as descriptor 3. */
function start(environment: Record<string, string>, fd?: number, ...args: string[]): Service {
  // LISTEN_PID is the daemon's own, which the shell becomes.
  const script = fd === undefined ? 'exec "$0" "$@"' : 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"';
  const child = spawn('sh', ['-c', script, DMTHIN, 'serve', '--config', configPath, ...args], {
    stdio: ['ignore', 'ignore', 'pipe', ...(fd === undefined ? [] : [fd])],
    env: { ...process.env, NOTIFY_SOCKET: notifyPath, ...environment },
  });
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'exit');
  return {
    child,
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      return (await ended)[0] as unknown;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

describe('under a service manager', () => {
  it('says when it serves, how the pool is, and that it stops', async () => {
    await using service = start({});
    assert.deepEqual(await notify.waitFor('READY=1'), ['READY=1', `STATUS=serving pool ${node.poolName}`]);
    const client = await connect(node.config().address);
    assert.equal(await client.isServing(), true);
    await node.removePool();
    await notify.waitFor(/^STATUS=waiting: .*the thin pool does not exist/);
    assert.equal(await client.isServing(), false);
    await node.createPool();
    await notify.waitFor(`STATUS=serving pool ${node.poolName}`);
    client.close();
    assert.equal(await service.stop(), 0);
    assert.deepEqual(notify.take(), [['STOPPING=1']]);
  });

  it('feeds the watchdog while it lives, and not while it hangs', async () => {
    await using service = start({ WATCHDOG_USEC: '1500000' });
    await notify.waitFor('READY=1');
    await notify.waitFor('WATCHDOG=1');
    await notify.waitFor('WATCHDOG=1');
    service.child.kill('SIGSTOP');
    notify.take();
    await new Promise((resolve) => setTimeout(resolve, 1600));
    const during = notify.take();
    service.child.kill('SIGCONT');
    assert.ok(during.length <= 1, `one at most was under way: ${JSON.stringify(during)}`);
    await notify.waitFor('WATCHDOG=1');
    assert.equal(await service.stop(), 0);
    notify.take();
  });

  it('serves on a passed socket, which stays when it ends: a call made meanwhile waits for the next daemon', async () => {
    const { address } = node.config();
    using socket = openListeningSocket(address);
    {
      await using first = start({}, socket.fd);
      await notify.waitFor('READY=1');
      const client = await connect(address);
      await client.prepare('kept', '');
      client.close();
      assert.equal(await first.stop(), 0);
    }
    assert.ok(existsSync(address), 'the socket is not the daemon’s to remove');
    const client = await connect(address);
    const answer = client.stat('kept');
    await using second = start({}, socket.fd, '--address', 'fd://');
    assert.equal((await answer).name, 'kept');
    await client.remove('kept');
    client.close();
    assert.equal(await second.stop(), 0);
    notify.take();
  });

  it('does not start when the passed socket is not the configured one', async () => {
    using socket = openListeningSocket(join(node.directory, 'other.sock'));
    await using service = start({}, socket.fd);
    assert.deepEqual(await once(service.child, 'exit'), [78, null]);
    assert.match(service.output(), /listens at .*other\.sock, and the configured address is .*dmthin\.sock/);
  });
});

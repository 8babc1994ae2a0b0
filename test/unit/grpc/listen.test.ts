/** Where the socket goes, with which mode, and what happens when something is there already. */
import assert from 'node:assert/strict';
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type ErrorCode, hasCode } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { parseAddress, probeSocket } from '../../../src/grpc/address.ts';
import { connect } from '../../../src/grpc/client.ts';
import { type RunningServer, startServer } from '../../../src/grpc/server.ts';
import { createSnapshotsService } from '../../../src/grpc/service.ts';
import { createFakeSnapshotter } from '../../fakes/snapshotter.ts';
import { temporaryDirectory } from './support.ts';

async function start(t: TestContext, address: string): Promise<RunningServer> {
  const service = createSnapshotsService(createFakeSnapshotter());
  const server = await startServer({ address, service, log: silentLog });
  t.after(() => server.drain(0));
  return server;
}

async function assertServes(address: string): Promise<void> {
  const client = await connect(address);
  await client.cleanup();
  client.close();
}

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o7777).toString(8);
}

/** A socket file that nobody listens on: libuv would remove it, so it moves away before the listener closes. */
async function makeStale(path: string): Promise<void> {
  const server: Server = createServer();
  server.listen(`${path}.old`);
  await once(server, 'listening');
  await rename(`${path}.old`, path);
  server.close();
  await once(server, 'close');
  assert.deepEqual(await probeSocket(path), { kind: 'stale' });
}

function refused(code: ErrorCode, words: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(hasCode(error, code), String(error));
    assert.match(error.message, words);
    assert.ok(error.detail.nextStep);
    return true;
  };
}

describe('the socket', () => {
  it('has mode 0600 in a directory of mode 0700, made with its parents, and nothing else is left there', async (t) => {
    const directory = join(await temporaryDirectory(t), 'run', 'dmthin');
    const path = join(directory, 'dmthin.sock');
    const server = await start(t, path);
    assert.equal(server.address, path);
    assert.ok((await lstat(path)).isSocket());
    assert.deepEqual([await modeOf(path), await modeOf(directory)], ['600', '700']);
    assert.deepEqual(await readdir(directory), ['dmthin.sock']);
    await assertServes(path);
    await server.drain(1000);
    assert.deepEqual(await readdir(directory), []);
  });

  it('leaves the mode of an existing directory alone', async (t) => {
    const directory = await temporaryDirectory(t);
    await chmod(directory, 0o755);
    await start(t, join(directory, 's'));
    assert.equal(await modeOf(directory), '755');
  });

  it('has its mode whatever the umask is', async (t) => {
    const path = join(await temporaryDirectory(t), 's');
    const before = process.umask(0o777);
    t.after(() => process.umask(before));
    await start(t, path);
    assert.equal(await modeOf(path), '600');
  });

  it('replaces a stale one', async (t) => {
    const path = join(await temporaryDirectory(t), 's');
    await makeStale(path);
    await start(t, path);
    await assertServes(path);
  });

  it('does not replace a live one, and says what to do', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 's');
    await start(t, path);
    await assert.rejects(start(t, path), refused('locked', /another process answers.*device.*\/s.*ss -xlp/));
    await assertServes(path);
    assert.deepEqual(await readdir(directory), ['s']);
  });

  it('does not touch what is no socket', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 's');
    await writeFile(path, 'precious');
    await assert.rejects(start(t, path), refused('config', /not a socket.*left alone/));
    assert.equal(await readFile(path, 'utf8'), 'precious');
    await rm(path);
    await mkdir(path);
    await assert.rejects(start(t, path), refused('config', /not a socket/));
    await rm(path, { recursive: true });
    await symlink(join(directory, 'nowhere'), path);
    await assert.rejects(start(t, path), refused('config', /not a socket/));
    assert.ok((await lstat(path)).isSymbolicLink());
    assert.deepEqual(await readdir(directory), ['s']);
  });

  it('needs a directory where its directory is to be', async (t) => {
    const file = join(await temporaryDirectory(t), 'file');
    await writeFile(file, '');
    await assert.rejects(
      start(t, join(file, 's')),
      refused('config', /cannot make the socket.*(EEXIST|ENOTDIR)/),
    );
    await assert.rejects(
      start(t, join(file, 'd', 's')),
      refused('config', /cannot make the socket.*ENOTDIR/),
    );
  });

  it('may have a path of 107 bytes and not of 108', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = (bytes: number): string => join(directory, 'x'.repeat(bytes - directory.length - 1));
    assert.equal(path(107).length, 107);
    await start(t, path(107));
    await assertServes(path(107));
    await assert.rejects(start(t, path(108)), refused('config', /108 bytes.*at most 107/));
    assert.deepEqual(await readdir(directory), [path(107).slice(directory.length + 1)]);
  });

  it('may have an odd name', async (t) => {
    const path = join(await temporaryDirectory(t), 'a b?c#d%2F:é');
    await start(t, path);
    await assertServes(path);
  });

  it('is removed at the end only when it is still ours', async (t) => {
    const path = join(await temporaryDirectory(t), 's');
    const first = await start(t, path);
    await rm(path);
    await start(t, path);
    await first.drain(1000);
    await assertServes(path);
  });

  it('may be gone at the end', async (t) => {
    const path = join(await temporaryDirectory(t), 's');
    const server = await start(t, path);
    await rm(path);
    await server.drain(1000);
  });

  it('can be made again once its server has stopped', async (t) => {
    const path = join(await temporaryDirectory(t), 's');
    await (await start(t, path)).drain(1000);
    await start(t, path);
    await assertServes(path);
  });
});

describe('addresses', () => {
  for (const address of ['/run/x/s', 'unix:/run/x/s', 'unix:///run/x/s']) {
    it(`${address} is a path`, () => assert.equal(parseAddress(address), '/run/x/s'));
  }
  for (const address of [
    '',
    'run/s',
    'unix:run/s',
    'unix://run/s',
    'tcp://127.0.0.1:1',
    'unix:',
    '@x',
    '/run/',
    '/a\0b',
  ]) {
    it(`${JSON.stringify(address)} is refused`, () => {
      assert.throws(() => parseAddress(address), refused('config', /^socket address: /));
    });
  }
});

describe('a client', () => {
  it('is told when no daemon is there, and what to do', async (t) => {
    const path = join(await temporaryDirectory(t), 's');
    await assert.rejects(
      connect(path),
      refused('unavailable', /no dmthin daemon answers at \/.*\/s.*start the daemon/),
    );
    await makeStale(path);
    await assert.rejects(connect(path), refused('unavailable', /no dmthin daemon answers/));
    await writeFile(join(path, '..', 'file'), '');
    await assert.rejects(connect(join(path, '..', 'file')), refused('unavailable', /no dmthin daemon/));
    await assert.rejects(connect(join(path, '..', 'file', 's')), refused('unavailable', /no dmthin daemon/));
  });

  it('is told when the daemon went away in between', async (t) => {
    const path = join(await temporaryDirectory(t), 's');
    const server = await start(t, path);
    const client = await connect(path);
    t.after(() => client.close());
    await client.cleanup();
    await server.drain(1000);
    await assert.rejects(client.cleanup(), (error) => hasCode(error, 'unavailable'));
  });
});

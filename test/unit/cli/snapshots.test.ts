import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { silentLog } from '../../../src/base/log.ts';
import { connect } from '../../../src/grpc/client.ts';
import { type RunningServer, startServer } from '../../../src/grpc/server.ts';
import { createSnapshotsService } from '../../../src/grpc/service.ts';
import { createFakeSnapshotter } from '../../fakes/snapshotter.ts';
import { createCli } from './harness.ts';

let directory: string;
let server: RunningServer;
const snapshotter = createFakeSnapshotter();
const { dmthin } = createCli({ connect });
const run = (...args: string[]) => dmthin('snapshots', ...args, '--address', server.address);

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dmthin-snapshots-'));
  server = await startServer({
    address: join(directory, 'dmthin.sock'),
    service: createSnapshotsService(snapshotter),
    log: silentLog,
  });
  let now = Date.UTC(2026, 0, 1);
  snapshotter.now = () => (now += 1000);
  const layer = async (name: string, parent: string) => {
    await snapshotter.prepare(`extract ${name}`, parent, {});
    await snapshotter.commit(name, `extract ${name}`, { 'containerd.io/gc.root': 'x' }, parent);
  };
  await layer('base', '');
  await layer('middle', 'base');
  await snapshotter.prepare('c1', 'middle', {});
  await snapshotter.view('v', 'base', {});
  await snapshotter.prepare('c2', 'middle', {});
  await layer('other', '');
});
after(async () => {
  await server.drain(1000);
  await rm(directory, { recursive: true });
});

describe('snapshots', () => {
  it('ls lists them, oldest first', async () => {
    assert.deepEqual(await run('ls'), {
      code: 0,
      err: '',
      out: `KIND       CREATED               NAME    PARENT
committed  2026-01-01T00:00:02Z  base    -
committed  2026-01-01T00:00:04Z  middle  base
active     2026-01-01T00:00:05Z  c1      middle
view       2026-01-01T00:00:06Z  v       base
active     2026-01-01T00:00:07Z  c2      middle
committed  2026-01-01T00:00:09Z  other   -`,
    });
  });

  it('ls passes filters on', async () => {
    const { out } = await run('ls', '--filter', 'kind==view', 'name==other');
    assert.deepEqual(
      out.split('\n').map((line) => line.split(/ +/)[2]),
      ['NAME', 'v', 'other'],
    );
    const { code, err } = await run('ls', '--filter', 'kind===');
    assert.equal(code, 64);
    assert.match(err, /^dmthin: /);
  });

  it('ls --json has all that a snapshot is', async () => {
    const json = JSON.parse((await run('ls', '--json')).out) as { snapshots: unknown[] };
    assert.equal(json.snapshots.length, 6);
    assert.deepEqual(json.snapshots[1], {
      name: 'middle',
      parent: 'base',
      kind: 'committed',
      created_at: '2026-01-01T00:00:04.000Z',
      updated_at: '2026-01-01T00:00:04.000Z',
      labels: { 'containerd.io/gc.root': 'x' },
    });
  });

  it('tree draws them below their parents', async () => {
    assert.equal(
      (await run('tree')).out,
      `base  committed
├─ middle  committed
│  ├─ c1  active
│  └─ c2  active
└─ v  view
other  committed`,
    );
  });

  it('usage sums up, largest first', async () => {
    assert.equal(
      (await run('usage')).out,
      `   SIZE  INODES  NAME
384 KiB       6  middle
320 KiB       5  other
256 KiB       4  base
128 KiB       2  c1
128 KiB       2  c2
 64 KiB       1  v
1.2 MiB          (total)`,
    );
    assert.deepEqual(JSON.parse((await run('usage', 'v', '--json')).out), {
      usages: [{ name: 'v', size_bytes: 65536, inodes: 1 }],
      total_bytes: 65536,
    });
  });

  it('usage of what is not there fails', async () => {
    const { code, err } = await run('usage', 'nothing');
    assert.equal(code, 1);
    assert.match(err, /"nothing" does not exist/);
  });

  it('says when no daemon answers', async () => {
    const { code, err } = await dmthin('snapshots', 'ls', '--address', join(directory, 'none.sock'));
    assert.equal(code, 69);
    assert.match(err, /no dmthin daemon answers at .*\n {2}next step: start the daemon/);
  });

  it('asks the socket of a configuration, which then has to be right', async () => {
    const { code, err } = await dmthin('snapshots', 'ls', '--config', '/nonexistent.toml');
    assert.equal(code, 78);
    assert.match(err, /\/nonexistent\.toml: does not exist/);
  });
});

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createCli } from './harness.ts';

const CREATE = ['pool', 'create', 'p', '--loop-dir', '/var/pools', '--data-size', '1G'];
const STEPS = `
  attach a loop device to /var/pools/p.data
  attach a loop device to /var/pools/p.meta
  assemble the pool that is there: /dev/mapper/p of 1 GiB, blocks of 64 KiB, warning below 51.2 MiB free`;

let directory: string;
let config: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dmthin-activate-'));
  config = join(directory, 'config.toml');
  const table = '[pool]\nloop_dir = "/var/pools"\ndata_size = "9G"\n';
  await writeFile(config, `pool_name = "p"\nbase_image_size = "1G"\n${table}`);
});
after(() => rm(directory, { recursive: true }));

describe('pool activate and deactivate', () => {
  it('take a pool out of the kernel and bring it back, by flags or by the configuration', async () => {
    const { dmthin } = createCli();
    await dmthin(...CREATE);
    assert.equal(
      (await dmthin('pool', 'deactivate', 'p')).out,
      `pool p is not active any more
  deactivate the pool /dev/mapper/p
  detach /dev/loop0 from /var/pools/p.data
  detach /dev/loop1 from /var/pools/p.meta`,
    );
    const dry = await dmthin('pool', 'activate', 'p', '--loop-dir', '/var/pools', '--dry-run');
    assert.equal(dry.out, `to be done for pool p (nothing has been changed):${STEPS}`);
    const { out } = await dmthin('pool', 'activate', 'p', '--loop-dir', '/var/pools');
    assert.equal(out, `pool p is active${STEPS}`);
    await dmthin('pool', 'deactivate', 'p');
    assert.equal((await dmthin('pool', 'activate', 'p', '--config', config)).out, `pool p is active${STEPS}`);
    const again = await dmthin('pool', 'activate', 'p', '--config', config);
    assert.equal(again.out, 'pool p is active already');
  });

  it('make no new pool', async () => {
    const { dmthin, machine } = createCli();
    const { code, err } = await dmthin('pool', 'activate', 'p', '--config', config);
    assert.equal(code, 1);
    assert.match(err, /p\.meta is not there, and "pool activate" makes no new one/);
    assert.deepEqual(machine.changes, []);
  });

  it('say so when the configuration describes another pool or none', async () => {
    const { dmthin } = createCli();
    const other = await dmthin('pool', 'activate', 'q', '--config', config);
    assert.match(other.err, /the configuration is for pool p\n {2}next step: give --loop-dir/);
    const bare = join(directory, 'bare.toml');
    await writeFile(bare, 'pool_name = "p"\nbase_image_size = "1G"\n');
    assert.match((await dmthin('pool', 'activate', 'p', '--config', bare)).err, /has no table \[pool\]/);
    assert.equal((await dmthin('pool', 'activate', 'p', '--config', '/nonexistent')).code, 78);
  });
});

/**
 * From a blank disk to a running container, on a machine that has the package and containerd: three commands, as in the README.
 * Prints how long each takes.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { HELLO } from '../images/images.ts';
import { ensureImages } from '../images/ensure-images.ts';
import { type Registry, startRegistry } from '../e2e/harness/registry.ts';
import { run } from '../e2e/harness/run.ts';
import { type BootableMachine, createMachine } from './machine.ts';

const PACKAGES = join(import.meta.dirname, '../../.cache/package');
const DISK_BYTES = 4 * 1024 ** 3;

describe('from a blank disk to a running container', () => {
  const stack = new AsyncDisposableStack();
  let machine: BootableMachine;
  let registry: Registry;
  let disk: string;

  before(async () => {
    const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'story-'));
    stack.defer(() => rm(directory, { recursive: true }));
    registry = stack.use(await startRegistry(await ensureImages(), directory));
    const file = join(directory, 'disk');
    await writeFile(file, '');
    await truncate(file, DISK_BYTES);
    disk = (await run(['losetup', '--find', '--show', file])).trim();
    stack.defer(async () => {
      await run(['losetup', '--detach', disk]);
    });
    machine = stack.use(await createMachine());
    const deb = (await readdir(PACKAGES)).find((name) => name.endsWith('.deb'));
    assert.ok(deb !== undefined, `no package in ${PACKAGES}`);
    await machine.run('dpkg', '--force-unsafe-io', '--install', join(PACKAGES, deb));
    await machine.boot(['dmthin.socket', 'dmthin.service', 'containerd.service']);
  });
  after(() => stack.disposeAsync());

  it('takes three commands', async (t) => {
    const image = registry.reference('hello');
    const commands = [
      `dmthin pool create dmthin-pool --device ${disk}`,
      'dmthin config containerd > /etc/containerd/config.toml && systemctl restart containerd',
      `ctr images pull --plain-http --snapshotter dmthin ${image} >&2 && ctr run --rm --snapshotter dmthin ${image} hello`,
    ];
    let output = '';
    for (const command of commands) {
      const startedAt = performance.now();
      output = await machine.run('sh', '-c', command);
      t.diagnostic(`${((performance.now() - startedAt) / 1000).toFixed(1)} s  ${command}`);
    }
    assert.equal(output, `${HELLO}\n`);
    const tree = await machine.run('dmthin', 'snapshots', 'tree');
    assert.match(tree, /committed/);
  });

  it('and a few more give the disk back', async () => {
    await machine.run('ctr', 'images', 'rm', '--sync', registry.reference('hello'));
    await machine.run('systemctl', 'stop', 'containerd.service', 'dmthin.service', 'dmthin.socket');
    assert.match(await machine.run('dmthin', 'pool', 'destroy', 'dmthin-pool'), /is gone/);
    assert.doesNotMatch(await run(['dmsetup', 'ls']), /dmthin-pool/);
  });
});

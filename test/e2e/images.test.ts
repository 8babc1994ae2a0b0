/** Images from a registry, unpacked into snapshots: what is in them, and what containers do with them. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { HELLO, MANY_LAYERS } from '../images/images.ts';
import { startContainer } from './harness/containers.ts';
import { assertContent, GC_ROOT, listSnapshots, readChain } from './harness/content.ts';
import { mountSnapshot } from './harness/mounts.ts';
import { type Node, openNode } from './harness/node.ts';

const UNPACKED = ['features', 'debian', 'many-layers'] as const;
const PULLED = ['hello', ...UNPACKED] as const;

describe('images and containers', () => {
  let node: Node;
  before(async () => {
    node = await openNode();
  });
  after(() => node.close());

  it('runs hello-world', async () => {
    const reference = node.registry.reference('hello');
    await node.ctr.pull(reference);
    const output = await node.ctr.run(['--rm'], reference, 'hello');
    assert.equal(output, `${HELLO}\n`);
  });

  for (const name of UNPACKED) {
    it(`unpacks the image ${name} to exactly what its layers say`, async () => {
      await node.ctr.pull(node.registry.reference(name));
      await assertContent(node, name);
    });
  }

  it('chains one snapshot for each layer', async () => {
    const { chainId, layerCount } = node.registry.images.facts['many-layers'];
    assert.equal(layerCount, MANY_LAYERS);
    assert.equal((await readChain(node, chainId)).length, layerCount);
  });

  it('runs on top of 128 layers', async () => {
    const output = await node.ctr.run(['--rm'], node.registry.reference('many-layers'), 'many');
    assert.equal(output, `${MANY_LAYERS}\n`);
  });

  it('runs programs of a Debian root filesystem', async () => {
    const script = '. /etc/os-release; echo "$ID"; cat /etc/issue; through-a-symlink';
    const reference = node.registry.reference('debian');
    const output = await node.ctr.run(['--rm'], reference, 'debian', 'bash', '-c', script);
    assert.equal(output, 'debian\nchanged by a layer\nthrough a symlink\n');
  });

  it('keeps the writes of two containers of one image apart, and out of the image', async () => {
    const reference = node.registry.reference('features');
    const one = await startContainer(node, reference, 'one');
    const two = await startContainer(node, reference, 'two');
    await one.sh('echo one > /written; echo one > /srv/t/updated');
    await two.sh('echo two > /written; rm -r /srv/t/tree');
    assert.equal(await one.sh('cat /written /srv/t/updated; ls /srv/t/tree'), 'one\none\na\n');
    assert.equal(
      await two.sh('cat /written /srv/t/updated; ls -d /srv/t/t* || true'),
      'two\nthird version\n',
    );
    await assertContent(node, 'features');
    for (const container of [one, two]) {
      await container.kill();
      await container.remove();
    }
  });

  it('commits the snapshot of a running container, and starts others from it', async () => {
    const reference = node.registry.reference('hello');
    const origin = await startContainer(node, reference, 'origin');
    await origin.sh('echo before > /written; sync');
    await node.ctr.snapshots('commit', 'of-origin', origin.id);
    // It is mounted still; what is written from now on is nobody's promise, what was synced before is.
    await origin.sh('echo after > /later; sync');
    await node.snapshots.prepare('copy', 'of-origin', GC_ROOT);
    {
      await using mounted = await mountSnapshot(await node.snapshots.mounts('copy'));
      assert.equal(await readFile(join(mounted.path, 'written'), 'utf8'), 'before\n');
    }
    await origin.kill();
    await origin.remove();
    for (const key of ['copy', 'of-origin']) await node.ctr.snapshots('rm', key);
  });

  it('gives the pool back what images took, once they are removed and collected', async () => {
    await node.ctr('images', 'rm', '--sync', ...PULLED.map((name) => node.registry.reference(name)));
    assert.deepEqual(await listSnapshots(node), []);
    await node.assertPoolAsAtStart();
  });
});

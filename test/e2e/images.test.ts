/** Images from a registry, unpacked into snapshots: what is in them, and what containers do with them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { HELLO, type ImageName, MANY_LAYERS } from '../images/images.ts';
import { compareTrees } from '../images/tree.ts';
import { mountSnapshot, readTree } from './harness/mounts.ts';
import { type Node, openNode } from './harness/node.ts';

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

  for (const name of ['features', 'debian', 'many-layers'] as const) {
    it(`unpacks the image ${name} to exactly its layers' content`, async () => {
      await node.ctr.pull(node.registry.reference(name));
      await assertContent(node, name);
    });
  }

  it('chains one snapshot for each layer', async () => {
    const { chainId, layerCount } = node.registry.images.facts['many-layers'];
    assert.equal(layerCount, MANY_LAYERS);
    const chain = await readChain(node, chainId);
    assert.equal(chain.length, layerCount);
  });

  it('runs programs of a Debian root filesystem', async () => {
    const reference = node.registry.reference('debian');
    const output = await node.ctr.run(
      ['--rm'],
      reference,
      'debian',
      ...['bash', '-c', '. /etc/os-release; echo "$ID"; cat /etc/issue; through-a-symlink'],
    );
    assert.equal(output, 'debian\nchanged by a layer\nthrough a symlink\n');
  });

  it('runs on top of 128 layers', async () => {
    const output = await node.ctr.run(['--rm'], node.registry.reference('many-layers'), 'many');
    assert.equal(output, `${MANY_LAYERS}\n`);
  });

  it('gives the pool back what images took, once they are removed and collected', async () => {
    const names = ['hello', 'features', 'debian', 'many-layers'] as const;
    await node.ctr('images', 'rm', '--sync', ...names.map((name) => node.registry.reference(name)));
    assert.deepEqual((await Array.fromAsync(node.snapshots.list())).flat(), []);
    await node.assertPoolAsAtStart();
  });
});

/** The image's topmost snapshot, seen through a view, has the tree that its layers describe. */
async function assertContent(node: Node, name: ImageName): Promise<void> {
  const key = `view of ${name}`;
  const mounts = await node.snapshots.view(key, node.registry.images.facts[name].chainId);
  {
    await using mounted = await mountSnapshot(mounts);
    const [expected, actual] = [await node.registry.images.readTree(name), await readTree(mounted.path)];
    assert.deepEqual(compareTrees(expected, actual), []);
  }
  await node.snapshots.remove(key);
}

async function readChain(node: Node, top: string): Promise<string[]> {
  const chain: string[] = [];
  for (let name = top; name !== ''; name = (await node.snapshots.stat(name)).parent) chain.push(name);
  return chain;
}

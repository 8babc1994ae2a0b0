/** What holds for ext4 and the default transport holds for every filesystem and for the other transport. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { HELLO } from '../images/images.ts';
import { assertContent, GC_ROOT, listSnapshots } from './harness/content.ts';
import { mountSnapshot } from './harness/mounts.ts';
import { IMPLEMENTATION, type Node, openNode } from './harness/node.ts';
import type { Variant } from './harness/snapshotter.ts';

const VARIANTS: readonly Variant[] = [
  { fsType: 'xfs' },
  { fsType: 'ext2' },
  ...(IMPLEMENTATION === 'dmthin' ? [{ transport: 'dmsetup' } as const] : []),
];

for (const variant of VARIANTS) {
  describe(`images with ${Object.entries(variant).flat().join(' ')}`, () => {
    let node: Node;
    before(async () => {
      node = await openNode(variant);
    });
    after(() => node.close());

    it('unpacks exactly what the layers say', async () => {
      await node.ctr.pull(node.registry.reference('features'));
      await assertContent(node, 'features');
    });

    it('mounts a snapshot and its parent at the same time', async () => {
      const { chainId } = node.registry.images.facts.features;
      await using lower = await mountSnapshot(await node.snapshots.view('lower', chainId, GC_ROOT));
      await using upper = await mountSnapshot(await node.snapshots.prepare('upper', chainId, GC_ROOT));
      await writeFile(join(upper.path, 'written'), 'x');
      await assert.rejects(writeFile(join(lower.path, 'written'), 'x'), { code: 'EROFS' });
    });

    it('runs a container', async () => {
      const reference = node.registry.reference('hello');
      await node.ctr.pull(reference);
      assert.equal(await node.ctr.run(['--rm'], reference, 'hello'), `${HELLO}\n`);
    });

    it('gives the pool back what it took', async () => {
      for (const key of ['lower', 'upper']) await node.snapshots.remove(key);
      const references = (['features', 'hello'] as const).map((name) => node.registry.reference(name));
      await node.ctr('images', 'rm', '--sync', ...references);
      assert.deepEqual(await listSnapshots(node), []);
      await node.assertPoolAsAtStart();
    });
  });
}

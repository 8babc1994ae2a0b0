/**
 * containerd's garbage collection with one snapshot whose filesystem is still mounted: everything else goes, and the next
 * collection after the unmount takes that one too (containerd #3923, #3924).
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect } from '../../src/grpc/client.ts';
import { listSnapshots } from './harness/content.ts';
import { mountSnapshot, type Mounted } from './harness/mounts.ts';
import { IMPLEMENTATION, type Node, openNode } from './harness/node.ts';
import { waitFor } from './harness/wait.ts';

const UNUSED = 30;
const BUSY = 'unused-15';
const WITHIN_MS = 60_000;

for (const asyncRemove of [false, true]) {
  describe(`garbage collection with async_remove = ${asyncRemove}`, () => {
    let node: Node;
    let mounted: Mounted | undefined;
    before(async () => {
      node = await openNode({ asyncRemove });
    });
    after(async () => {
      await mounted?.[Symbol.asyncDispose]();
      await node.close();
    });

    it('makes many snapshots that nothing refers to, one of them mounted', async () => {
      await node.snapshots.prepare('lower', '');
      await node.snapshots.commit('layer', 'lower');
      for (let index = 0; index < UNUSED; index += 1)
        await node.snapshots.prepare(`unused-${index}`, 'layer');
      mounted = await mountSnapshot(await node.snapshots.mounts(BUSY));
      assert.equal((await listSnapshots(node)).length, UNUSED + 1);
    });

    it('collects all of them but the mounted one and its parent', async () => {
      const { deviceIds } = await node.pool.readUsage();
      await node.collectGarbage();
      assert.deepEqual(await listSnapshots(node), []);
      await waitFor('the devices of the unused snapshots are gone', WITHIN_MS, async () => {
        const left = (await node.pool.readUsage()).deviceIds;
        return left.length === deviceIds.length - (UNUSED - 1);
      });
    });

    it(
      'refuses the mounted one with FAILED_PRECONDITION and leaves it as it was',
      {
        skip: asyncRemove || IMPLEMENTATION === 'builtin',
      },
      async () => {
        const direct = await connect(node.snapshotter.address);
        const left = (await Array.fromAsync(direct.list())).flat().map(({ name }) => name);
        assert.deepEqual(left.map((name) => name.split('/').at(-1)).sort(), ['layer', BUSY]);
        const busy = left.find((name) => name.endsWith(`/${BUSY}`)) ?? '';
        const before = await direct.stat(busy);
        await assert.rejects(direct.remove(busy), { code: 'failed_precondition' });
        assert.deepEqual(await direct.stat(busy), before);
        direct.close();
        const { path } = mounted ?? assert.fail();
        await writeFile(join(path, 'still'), 'writable');
      },
    );

    it('collects it as well, once it is unmounted', async () => {
      await mounted?.[Symbol.asyncDispose]();
      mounted = undefined;
      // A collection looks at a snapshotter only when something of it was dropped.
      await node.snapshots.prepare('one-more', '');
      await node.collectGarbage();
      await node.assertPoolAsAtStart();
    });
  });
}

/** Whether snapshots hold what the images say. */
import assert from 'node:assert/strict';
import type { ImageName } from '../../images/images.ts';
import { compareTrees } from '../../images/tree.ts';
import { mountSnapshot, readTree } from './mounts.ts';
import type { Node } from './node.ts';

/** Keeps a snapshot that nothing refers to from containerd's garbage collector, which may run at any time. */
export const GC_ROOT = { 'containerd.io/gc.root': '2026-01-01T00:00:00Z' } as const;

/** The image's topmost snapshot, seen through a view, has the tree that its layers describe. */
export async function assertContent(node: Node, name: ImageName): Promise<void> {
  const key = `view of ${name}`;
  const mounts = await node.snapshots.view(key, node.registry.images.facts[name].chainId, GC_ROOT);
  {
    await using mounted = await mountSnapshot(mounts);
    const [expected, actual] = [await node.registry.images.readTree(name), await readTree(mounted.path)];
    assert.deepEqual(compareTrees(expected, actual), []);
  }
  await node.snapshots.remove(key);
}

/** Names from the snapshot `top` down to the one without parent. */
export async function readChain(node: Node, top: string): Promise<string[]> {
  const chain: string[] = [];
  for (let name = top; name !== ''; name = (await node.snapshots.stat(name)).parent) chain.push(name);
  return chain;
}

/** Names of all snapshots that containerd knows, sorted. */
export async function listSnapshots(node: Node): Promise<string[]> {
  const pages = await Array.fromAsync(node.snapshots.list());
  return pages
    .flat()
    .map(({ name }) => name)
    .sort();
}

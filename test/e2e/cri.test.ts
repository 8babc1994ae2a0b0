/** Kubernetes' way: containerd's CRI plugin with dmthin as its snapshotter, asked as a kubelet asks. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ContainerState } from './gen/runtime/v1/cri_pb.ts';
import { type Cri, openCri, type Pod } from './harness/cri.ts';
import { assertContent } from './harness/content.ts';
import { type Node, openNode } from './harness/node.ts';
import type { Registry } from './harness/registry.ts';
import { waitFor } from './harness/wait.ts';

const MIB = 1024 ** 2;
const WRITTEN_MIB = 8;
const STATS_WITHIN_MS = 30_000;
const FOREVER = ['/bin/sleep', '1000000'];

/** What `dmthin config containerd` prints for CRI, and what a test machine needs besides. */
function criConfig(registry: Registry): string {
  return `[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = ${JSON.stringify(registry.reference('pause'))}
stats_collect_period = 1
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "dmthin"
discard_unpacked_layers = false
`;
}

describe('CRI', () => {
  let node: Node;
  let cri: Cri;
  let pod: Pod;
  let logs: string;
  let container: string;
  let other: string;
  let features: string;

  before(async () => {
    node = await openNode({}, { criConfig, namespace: 'k8s.io' });
    cri = openCri(node.containerd.address);
    features = node.registry.reference('features');
    logs = await mkdtemp(join(tmpdir(), 'pod-logs-'));
  });
  after(async () => {
    cri.close();
    await node.close();
  });

  it('pulls an image into snapshots on thin devices', async () => {
    await cri.pull(features);
    const tags = (await cri.images()).flatMap(({ repoTags }) => repoTags);
    assert.deepEqual(tags, [features]);
    await assertContent(node, 'features');
  });

  it('runs a pod on the host network and two containers in it', async () => {
    pod = await cri.runPod('pod', logs);
    container = await cri.runContainer(pod, 'one', features, FOREVER);
    other = await cri.runContainer(pod, 'two', features, ['/bin/sh', '-c', 'echo said by two']);
    assert.equal((await cri.status(container))?.state, ContainerState.CONTAINER_RUNNING);
  });

  it("gives each container a root of its own: a thin device of the pool's", async () => {
    const mounts = await cri.sh(container, 'cat /proc/mounts');
    const [source, , type] = mounts.split('\n', 1).join('').split(' ');
    assert.match(source ?? '', new RegExp(`^/dev/mapper/${node.pool.name}-snap-\\d+$`));
    assert.equal(type, 'ext4');
  });

  it('ends a container, keeps its exit code and its log', async () => {
    await waitFor('the second container has ended', STATS_WITHIN_MS, async () => {
      return (await cri.status(other))?.state === ContainerState.CONTAINER_EXITED;
    });
    assert.equal((await cri.status(other))?.exitCode, 0);
    assert.match(await readFile(join(logs, 'two.log'), 'utf8'), / stdout F said by two\n$/);
    await cri.removeContainer(other);
  });

  it('tells the kubelet what a container has written', async () => {
    const { usedBytes } = await cri.writableLayer(container);
    await cri.sh(container, `dd if=/dev/zero of=/written bs=1048576 count=${WRITTEN_MIB} 2>/dev/null; sync`);
    const layer = await waitFor('the stats show what was written', STATS_WITHIN_MS, async () => {
      const now = await cri.writableLayer(container);
      return now.usedBytes >= usedBytes + WRITTEN_MIB * MIB ? now : undefined;
    });
    assert.ok(layer.usedBytes < usedBytes + 2 * WRITTEN_MIB * MIB, `${layer.usedBytes} bytes`);
    assert.match(layer.mountpoint, /dmthin/);
  });

  it('tells the kubelet what images and containers take', async () => {
    const [images, ...rest] = await cri.imageFilesystems();
    assert.deepEqual(rest, []);
    const keys: string[] = [];
    for await (const page of node.snapshots.list()) keys.push(...page.map(({ name }) => name));
    const usages = await Promise.all(keys.map((key) => node.snapshots.usage(key)));
    const total = usages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    assert.ok(images !== undefined && images.usedBytes > WRITTEN_MIB * MIB, 'more than one file');
    assert.ok(Math.abs(images.usedBytes - total) < MIB, `${images.usedBytes} of ${total} bytes`);
    assert.ok(images.inodes > 0);
  });

  it('goes on while dmthin restarts', async () => {
    await node.snapshotter.stop('SIGKILL');
    await cri.sh(container, 'echo meanwhile > /meanwhile; sync');
    await node.snapshotter.start();
    assert.equal(await cri.sh(container, 'cat /meanwhile'), 'meanwhile\n');
    const next = await waitFor('containerd has found dmthin again', STATS_WITHIN_MS, () =>
      cri.runContainer(pod, 'three', features, FOREVER),
    );
    await cri.removeContainer(next);
  });

  it('removes containers, pod and images, and the pool is as before', async () => {
    await cri.removeContainer(container);
    await cri.removePod(pod);
    for (const reference of [features, node.registry.reference('pause')]) await cri.removeImage(reference);
    await node.collectGarbage();
    await node.assertPoolAsAtStart();
  });
});

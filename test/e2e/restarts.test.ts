/** Restarts of dmthin and of containerd, orderly or not, below a running container. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { HELLO } from '../images/images.ts';
import { type RunningContainer, startContainer } from './harness/containers.ts';
import { assertContent, listSnapshots } from './harness/content.ts';
import { IMPLEMENTATION, type Node, openNode } from './harness/node.ts';
import { waitFor } from './harness/wait.ts';

const SIGNALS = ['SIGTERM', 'SIGKILL'] as const;
/** The built-in ends and starts with containerd. */
const alone = { skip: IMPLEMENTATION === 'builtin' };

describe('restarts below a running container', () => {
  let node: Node;
  let container: RunningContainer;
  before(async () => {
    node = await openNode();
    await node.ctr.pull(node.registry.reference('features'));
    container = await startContainer(node, node.registry.reference('features'), 'survivor');
    await container.sh('echo start > /log');
  });
  after(() => node.close());

  /** The old container goes on, a new one starts and ends, and the image is as it was. */
  async function assertAllWorks(mark: string): Promise<void> {
    assert.match(
      await container.sh(`echo ${mark} >> /log; sync; cat /log`),
      new RegExp(`^start\\n.*${mark}\n$`, 's'),
    );
    const reference = node.registry.reference('features');
    const output = await node.ctr.run(['--rm'], reference, `new-${mark}`, 'sh', '-c', 'cat /srv/t/updated');
    assert.equal(output, 'third version\n');
    assert.ok(!(await listSnapshots(node)).includes(`new-${mark}`));
  }

  for (const signal of SIGNALS) {
    it(`goes on while dmthin is away after ${signal}, and works when it is back`, alone, async () => {
      await node.snapshotter.stop(signal);
      assert.match(await container.sh('echo alone >> /log; sync; cat /log'), /alone\n$/);
      await node.snapshotter.start();
      // containerd dials a proxy plugin again after a pause of its own, and refuses calls until then.
      await waitFor('containerd has found dmthin again', 30_000, () =>
        listSnapshots(node).then(
          () => true,
          () => undefined,
        ),
      );
      await assertAllWorks(`dmthin-${signal}`);
    });

    it(`works on after containerd's restart by ${signal}`, async () => {
      await node.containerd.stop(signal);
      await node.containerd.start();
      await assertAllWorks(`containerd-${signal}`);
    });
  }

  it('works on after both were killed at once', alone, async () => {
    await Promise.all([node.containerd.stop('SIGKILL'), node.snapshotter.stop('SIGKILL')]);
    await node.snapshotter.start();
    await node.containerd.start();
    await assertAllWorks('both');
    await assertContent(node, 'features');
  });

  it('pulls and runs new images afterwards', async () => {
    const reference = node.registry.reference('hello');
    await node.ctr.pull(reference);
    assert.equal(await node.ctr.run(['--rm'], reference, 'hello'), `${HELLO}\n`);
  });

  it('removes the container and the images as if nothing had happened', async () => {
    await container.kill();
    await container.remove();
    const references = (['features', 'hello'] as const).map((name) => node.registry.reference(name));
    await node.ctr('images', 'rm', '--sync', ...references);
    assert.deepEqual(await listSnapshots(node), []);
    await node.assertPoolAsAtStart();
  });
});

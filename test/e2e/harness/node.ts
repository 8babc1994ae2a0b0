/** A whole container node on one machine: pool, snapshotter under test, registry with the test images, containerd. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type SnapshotsClient } from '../../../src/grpc/client.ts';
import { ensureImages } from '../../images/ensure-images.ts';
import { collectGarbage } from './collect-garbage.ts';
import { type Containerd, containerdAt } from './containerd.ts';
import { createCtr, type Ctr } from './ctr.ts';
import { leaked, readResources } from './leaks.ts';
import { createPool, type Pool, type PoolUsage } from './pool.ts';
import { waitFor } from './wait.ts';
import { type Registry, startRegistry } from './registry.ts';
import {
  type Implementation,
  IMPLEMENTATIONS,
  type SnapshotterUnderTest,
  snapshotterUnderTest,
  type Variant,
} from './snapshotter.ts';

export interface Node {
  readonly pool: Pool;
  readonly snapshotter: SnapshotterUnderTest;
  readonly registry: Registry;
  readonly containerd: Containerd;
  readonly ctr: Ctr;
  /** containerd's own Snapshots service, in namespace `default` unless told otherwise: bulk work without starting a ctr for each call. */
  readonly snapshots: SnapshotsClient;
  /** Runs a garbage collection and waits for its end. */
  collectGarbage(): Promise<void>;
  /**
   * The pool holds what it held when the node had just come up: the same devices, as many data blocks, and not many more
   * metadata blocks (a tree that grew does not always shrink to its old shape). Waits for removals in the background.
   */
  assertPoolAsAtStart(): Promise<void>;
  /** Takes everything down. @throws Error when a device, loop, mount or process is left. */
  close(): Promise<void>;
}

export const IMPLEMENTATION: Implementation =
  IMPLEMENTATIONS.find((name) => name === process.env['DMTHIN_E2E_SNAPSHOTTER']) ?? 'dmthin';

const REMOVALS_WITHIN_MS = 60_000;
const METADATA_SLACK_BLOCKS = 8;

function assertSame(wanted: PoolUsage, found: PoolUsage): void {
  const enough = {
    ...found,
    metadataBlocks: Math.max(wanted.metadataBlocks, found.metadataBlocks - METADATA_SLACK_BLOCKS),
  };
  assert.deepEqual(enough, wanted);
}

export interface NodeOptions {
  /** The tables of CRI; without them it is disabled. */
  readonly criConfig?: (registry: Registry) => string;
  /** containerd's namespace for {@link Node.snapshots}. */
  readonly namespace?: string;
}

export async function openNode(variant: Variant = {}, options: NodeOptions = {}): Promise<Node> {
  const before = await readResources();
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'node-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const pool = stack.use(await createPool(`e2e-${directory.slice(-6)}`, join(directory, 'pool')));
  const snapshotter = stack.use(
    snapshotterUnderTest(IMPLEMENTATION, { directory, poolName: pool.name, variant }),
  );
  await snapshotter.start();
  const registry = stack.use(await startRegistry(await ensureImages(), directory));
  const containerd = stack.use(
    containerdAt(join(directory, 'containerd'), snapshotter.containerdConfig, options.criConfig?.(registry)),
  );
  await containerd.start();
  const explain = async (): Promise<string> =>
    `--- snapshotter\n${await snapshotter.logTail()}\n--- containerd\n${await containerd.logTail()}`;
  const ctr = createCtr({ address: containerd.address, snapshotter: snapshotter.name, explain });
  const snapshots = await connect(containerd.address, {
    snapshotter: snapshotter.name,
    headers: { 'containerd-namespace': options.namespace ?? 'default' },
  });
  stack.defer(() => snapshots.close());
  // The first snapshot without parent may leave something for all that follow: dmthin's base device.
  await snapshots.prepare('warm-up', '');
  await snapshots.remove('warm-up');
  await collectGarbage(containerd.address);
  const usageAtStart = await pool.readUsage();
  const running = stack.move();
  return {
    pool,
    snapshotter,
    registry,
    containerd,
    ctr,
    snapshots,
    collectGarbage: () => collectGarbage(containerd.address),
    async assertPoolAsAtStart() {
      await waitFor(
        `the pool holds what it did at the start: ${JSON.stringify(usageAtStart)}`,
        REMOVALS_WITHIN_MS,
        async () => {
          const found = await pool.readUsage();
          assertSame(usageAtStart, found);
          return true;
        },
      );
    },
    async close() {
      await running.disposeAsync();
      const left = leaked(before, await readResources());
      if (left.length > 0) throw new Error(`left behind:\n${left.join('\n')}`);
    },
  };
}

/** Whole jobs: layers as an unpacker makes them, a real image, and containers' root filesystems. */
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createCtr } from '../e2e/harness/ctr.ts';
import { mountSnapshot } from '../e2e/harness/mounts.ts';
import { startRegistry } from '../e2e/harness/registry.ts';
import { ensureImages } from '../images/ensure-images.ts';
import type { Mount } from '../../src/snapshotter/snapshotter.ts';
import type { Recorder } from './rows.ts';
import { measure } from './rounds.ts';
import type { Bench, BenchTarget } from './targets.ts';

const LAYERS = 16;
const LAYER_BYTES = 1024 * 1024;

/** Prepare, mount, write and flush 1 MB, unmount, commit: sixteen times on top of each other; then all removed, untimed. */
export async function stackLayers(target: BenchTarget, round: number, recorder: Recorder): Promise<void> {
  const { mounts } = target;
  if (mounts === undefined) return;
  const name = (layer: number): string => (layer < 0 ? '' : `stack-${round}-${layer}`);
  await measure(recorder, '16 layers of 1 MB', target, [0], 1, async () => {
    for (let layer = 0; layer < LAYERS; layer += 1) {
      const key = `stack-active-${round}-${layer}`;
      await target.prepare(key, name(layer - 1));
      await writeLayer(await mounts(key), `file-${layer}`);
      await target.commit(name(layer), key);
    }
  });
  for (let layer = LAYERS - 1; layer >= 0; layer -= 1) await target.remove(name(layer));
  await target.settle();
}

async function writeLayer(mounts: readonly Mount[], name: string): Promise<void> {
  await using mounted = await mountSnapshot(mounts);
  await using file = await open(join(mounted.path, name), 'w');
  await file.write(randomBytes(LAYER_BYTES));
  await file.sync();
}

/** A container's root filesystem from nothing to nothing. */
export async function rootFilesystems(
  target: BenchTarget,
  count: number,
  round: number,
  recorder: Recorder,
): Promise<void> {
  const { mounts } = target;
  if (mounts === undefined) return;
  const indexes = Array.from({ length: count }, (_, index) => index);
  await measure(
    recorder,
    'root filesystem: prepare, mount, unmount, remove',
    target,
    indexes,
    1,
    async (index) => {
      const key = `rootfs-${round}-${index}`;
      await target.prepare(key, 'layer');
      await (await mountSnapshot(await mounts(key)))[Symbol.asyncDispose]();
      await target.remove(key);
      await target.settle();
    },
  );
}

/** Pulls and unpacks Debian with `ctr`, and removes it again with all its snapshots, untimed. */
export async function pullDebian(
  { containerd }: Bench,
  directory: string,
  rounds: number,
  recorder: Recorder,
): Promise<void> {
  await using registry = await startRegistry(await ensureImages(), directory);
  const reference = registry.reference('debian');
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, snapshotter] of [
      ['builtin', 'devmapper'],
      ['dmthin', 'dmthin'],
    ] as const) {
      const ctr = createCtr({
        address: containerd.address,
        snapshotter,
        explain: () => containerd.logTail(),
      });
      await measure(recorder, 'pull of Debian, 7 layers', { name }, [0], 1, () => ctr.pull(reference));
      await ctr('images', 'rm', '--sync', reference);
    }
  }
}

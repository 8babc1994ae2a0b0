/** The committed snapshot that a scenario's snapshots are made of. */
import assert from 'node:assert/strict';
import { devicePath } from '../../src/dm/client.ts';
import type { SnapshotsClient } from '../../src/grpc/client.ts';
import type { Round } from './scenario.ts';
import { deviceOf, digestDevice, scribble, type World } from './world.ts';

export const LAYER = 'layer';

/** Makes it, with contents of its own, which must stay as they are. */
export async function makeLayer({ client, world }: Round): Promise<void> {
  const device = deviceOf(await client.prepare('layer-active', ''));
  await scribble(device, LAYER);
  const digest = await digestDevice(devicePath(device));
  await client.commit(LAYER, 'layer-active');
  world.contents.set(LAYER, { digest, mayBeGone: false });
}

/** What the daemon answers for `key` must lead to a device with the layer's contents. */
export async function requireChild(world: World, client: SnapshotsClient, key: string): Promise<void> {
  const digest = await digestDevice(devicePath(deviceOf(await client.mounts(key))));
  assert.equal(digest, world.contents.get(LAYER)?.digest, `${key} has the contents of ${LAYER}`);
}

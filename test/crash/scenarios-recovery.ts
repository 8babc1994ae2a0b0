/** Starts that die: the first of all, and those that recover from an earlier death. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LAYER, requireChild } from './layer.ts';
import { again, removeAll, type Round, type Scenario } from './scenario.ts';
import { deviceOf, type World } from './world.ts';

/** A new state directory each time: store, generation, the list of the pool's devices. */
const firstStart: Scenario = {
  name: 'first-start',
  operations: 1,
  transport: 'ioctl',
  dies: 'start',
  ownWorld: {},
  noLayer: true,
  config: (round, world) => ({ rootPath: join(world.node.directory, `root-${round}`) }),
};

/** Where the snapshot that was frozen when its daemon died is mounted. */
const frozenAt = new WeakMap<World, string>();

/** One death in the middle of six operations, each held at a point of its own; and a device that a reboot took. */
async function makeMess({ client, key, victim, world }: Round): Promise<void> {
  const held = async (point: string, operate: () => Promise<unknown>): Promise<void> => {
    await victim.hold(point);
    const stays = victim.held();
    // It is answered by the daemon's death.
    operate().catch(() => undefined);
    await stays;
  };
  for (const name of ['committed', 'removed']) await client.prepare(`${key}-${name}`, LAYER);
  frozenAt.set(world, await world.mount(await client.prepare(`${key}-frozen`, LAYER)));
  const gone = deviceOf(await client.prepare(`${key}-gone`, LAYER));
  await held('before ioctl create_snap', () => client.prepare(`${key}-intent`, LAYER));
  await held('after ioctl create_snap', () => client.prepare(`${key}-made`, LAYER));
  await held('before ioctl load', () => client.prepare(`${key}-half`, LAYER));
  await held('before ioctl remove', () => client.commit(`${key}-committed-name`, `${key}-committed`));
  await held('before ioctl delete', () => client.remove(`${key}-removed`));
  await held('after ioctl suspend', () => client.commit(`${key}-frozen-name`, `${key}-frozen`));
  await victim.settled();
  await victim.kill();
  await world.dm.remove(gone);
}

/** The start after that death dies too. */
const recovery: Scenario = {
  name: 'recovery',
  operations: 1,
  transport: 'ioctl',
  dies: 'start',
  before: makeMess,
  async afterStart({ world }) {
    const directory = frozenAt.get(world);
    if (directory !== undefined) await world.unmount(directory);
    frozenAt.delete(world);
  },
  async repeat({ client, key, world }) {
    for (const name of ['intent', 'made', 'half']) {
      await again(client.prepare(`${key}-${name}`, LAYER), 'already_exists');
      await requireChild(world, client, `${key}-${name}`);
    }
    for (const name of ['committed', 'frozen']) {
      await again(client.commit(`${key}-${name}-name`, `${key}-${name}`), 'not_found');
    }
    await again(client.remove(`${key}-removed`), 'not_found');
    await requireChild(world, client, `${key}-gone`);
  },
  async after({ client, key }) {
    const names = ['intent', 'made', 'half', 'gone', 'removed', 'committed-name', 'frozen-name'];
    await removeAll(client, ...names.map((name) => `${key}-${name}`));
    await client.cleanup();
  },
};

/** The daemon makes the pool of its configuration: files, loop devices, the pool, a store. */
const poolMade: Scenario = {
  name: 'pool-made',
  operations: 1,
  transport: 'ioctl',
  dies: 'start',
  ownWorld: { describedPool: true },
  noLayer: true,
  async before({ victim, world }) {
    await victim.kill();
    await world.reboot();
    for (const file of world.poolFiles) await rm(file);
    await rm(world.config().rootPath, { recursive: true });
  },
  async repeat({ client, key }) {
    await client.prepare(key, '');
  },
};

/** After a reboot the daemon brings its pool back, with its snapshots. */
const poolAssembled: Scenario = {
  name: 'pool-assembled',
  operations: 1,
  transport: 'ioctl',
  dies: 'start',
  ownWorld: { describedPool: true },
  async before({ client, key, victim, world }) {
    await client.prepare(key, LAYER);
    await victim.kill();
    await world.reboot();
  },
  repeat: ({ client, key, world }) => requireChild(world, client, key),
  after: ({ client, key }) => removeAll(client, key),
};

export const RECOVERY_SCENARIOS: readonly Scenario[] = [firstStart, recovery, poolMade, poolAssembled];

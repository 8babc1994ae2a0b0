/** The operations of a caller, each dying at each of its points. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytes } from '../../src/base/units.ts';
import { devicePath } from '../../src/dm/client.ts';
import { MAX_SIZE_LABEL } from '../../src/snapshotter/context.ts';
import { LAYER, requireChild } from './layer.ts';
import { again, removeAll, type Round, type Scenario } from './scenario.ts';
import { GROW } from './scenario-grow.ts';
import { RECOVERY_SCENARIOS } from './scenarios-recovery.ts';
import { BASE_BYTES, deviceOf, digestDevice, scribble, type World } from './world.ts';

const plain = { dies: 'operation', operations: 1, transport: 'ioctl' } as const;

function creation(name: string, kind: 'prepare' | 'view', parent: string, labels = {}): Scenario {
  return {
    ...plain,
    name,
    operate: async ({ client, key }) => {
      await client[kind](key, parent, labels);
    },
    async repeat({ client, key, world }) {
      for (const asked of [key, `${key}-new`]) {
        await again(client[kind](asked, parent, labels), 'already_exists');
        if (parent !== '' && labels === NO_LABELS) await requireChild(world, client, asked);
        else await world.unmount(await world.mount(await client.mounts(asked)));
      }
    },
    after: ({ client, key }) => removeAll(client, key, `${key}-new`),
  };
}
const NO_LABELS = {};

const commit: Scenario = {
  ...plain,
  name: 'commit',
  async before({ client, key, world }) {
    const device = deviceOf(await client.prepare(key, LAYER));
    await scribble(device, key);
    world.contents.set(`${key}-name`, { digest: await digestDevice(devicePath(device)), mayBeGone: true });
  },
  operate: ({ client, key }) => client.commit(`${key}-name`, key),
  async repeat({ client, key }) {
    await again(client.commit(`${key}-name`, key), 'not_found');
    assert.equal((await client.stat(`${key}-name`)).kind, 'committed');
    await client.prepare(`${key}-new`, `${key}-name`);
    await client.commit(`${key}-new-name`, `${key}-new`);
  },
  async after({ client, key, world }) {
    await removeAll(client, `${key}-new-name`, `${key}-name`);
    world.contents.delete(`${key}-name`);
  },
};

/** The directory on which the open device of the round is mounted. */
const openAt = new WeakMap<World, string>();

const commitOpen: Scenario = {
  ...plain,
  name: 'commit-open',
  async before({ client, key, world }) {
    const directory = await world.mount(await client.prepare(key, LAYER));
    openAt.set(world, directory);
    await writeFile(join(directory, 'file'), key);
  },
  operate: ({ client, key }) => client.commit(`${key}-name`, key),
  async afterStart({ world }) {
    const directory = openAt.get(world);
    if (directory !== undefined) await world.unmount(directory);
    openAt.delete(world);
  },
  async repeat({ client, key, world }) {
    await again(client.commit(`${key}-name`, key), 'not_found');
    const directory = await world.mount(await client.view(`${key}-view`, `${key}-name`));
    assert.equal(await readFile(join(directory, 'file'), 'utf8'), key);
    await world.unmount(directory);
  },
  after: ({ client, key }) => removeAll(client, `${key}-view`, `${key}-name`),
};

function removal(name: string, what: 'active' | 'committed', more: Partial<Scenario> = {}): Scenario {
  return {
    ...plain,
    name,
    async before({ client, key, world }) {
      const device = deviceOf(await client.prepare(key, LAYER));
      await scribble(device, key);
      if (what === 'active') return;
      const digest = await digestDevice(devicePath(device));
      await client.commit(`${key}-name`, key);
      world.contents.set(`${key}-name`, { digest, mayBeGone: true });
    },
    operate: ({ client, key }) => client.remove(what === 'active' ? key : `${key}-name`),
    async repeat({ client, key }) {
      await again(client.remove(what === 'active' ? key : `${key}-name`), 'not_found');
      // The key is free at once.
      await client.prepare(what === 'active' ? key : `${key}-name`, LAYER);
    },
    async after({ client, key, world }) {
      world.contents.delete(`${key}-name`);
      await removeAll(client, key, `${key}-name`);
      await client.cleanup();
    },
    ...more,
  };
}

const update: Scenario = {
  ...plain,
  name: 'update',
  before: async ({ client, key }) => {
    await client.prepare(key, LAYER, { is: 'old' });
  },
  operate: async ({ client, key }) => {
    await client.update(key, { kind: 'set', labels: { is: 'new' } });
  },
  async repeat({ client, key }) {
    assert.match((await client.stat(key)).labels['is'] ?? '', /^(old|new)$/);
    await client.update(key, { kind: 'set', labels: { is: 'new' } });
    assert.equal((await client.stat(key)).labels['is'], 'new');
  },
  after: ({ client, key }) => removeAll(client, key),
};

/** Each round wants a base of another size, so that each makes one: mkfs, mount, umount and all. */
const base: Scenario = {
  ...creation('base', 'prepare', ''),
  config: (round) => ({ baseImageSizeBytes: bytes(BASE_BYTES + round * 64 * 1024) }),
};

const removeAndCleanup = {
  operations: 2,
  config: () => ({ asyncRemove: true }),
  async operate({ client, key }: Round) {
    await client.remove(`${key}-name`);
    await client.cleanup();
  },
};

function through(transport: 'dmsetup' | 'thread', scenario: Scenario): Scenario {
  return {
    ...scenario,
    transport,
    name: `${transport}-${scenario.name}`,
    config: (round, world) => ({
      ...scenario.config?.(round, world),
      transport: transport === 'thread' ? 'ioctl' : transport,
    }),
  };
}

const child = creation('prepare-child', 'prepare', LAYER, NO_LABELS);
const removeCommitted = removal('remove-committed', 'committed');

export const SCENARIOS: readonly Scenario[] = [
  creation('prepare', 'prepare', ''),
  child,
  creation('prepare-sized', 'prepare', LAYER, { [MAX_SIZE_LABEL]: '24MB' }),
  creation('view', 'view', LAYER, NO_LABELS),
  commit,
  commitOpen,
  removal('remove-active', 'active'),
  removeCommitted,
  removal('remove-discard', 'committed', { config: () => ({ discardBlocks: true }) }),
  removal('remove-async', 'committed', removeAndCleanup),
  removal('remove-async-discard', 'committed', {
    ...removeAndCleanup,
    config: () => ({ asyncRemove: true, discardBlocks: true }),
  }),
  update,
  base,
  GROW,
  ...RECOVERY_SCENARIOS,
  through('thread', child),
  through('dmsetup', child),
  through('dmsetup', commit),
  through('dmsetup', removeCommitted),
];

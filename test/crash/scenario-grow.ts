/** The pool grows by itself while somebody writes, and the daemon dies in the middle: then all writers wait. */
import { retry } from '../../src/base/retry.ts';
import { DmthinError } from '../../src/base/errors.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { bytes } from '../../src/base/units.ts';
import { devicePath } from '../../src/dm/client.ts';
import { NO_POOL } from '../fakes/pool-settings.ts';
import { MiB } from '../guest/node.ts';
import { removeAll, type Scenario } from './scenario.ts';
import { deviceOf, type World } from './world.ts';

const BLOCK_BYTES = 64 * 1024;
/** What is written to each device, of 16 MiB. */
const DEVICE_BLOCKS = 240;
/** Of all blocks: above this share the daemon lets the pool grow. */
const FULL = 0.81;
const FILL_TIMEOUT_MS = 120_000;

interface Filling {
  readonly blocksBefore: number;
  readonly keys: readonly string[];
  /** Blocks to write to each device. */
  readonly writes: ReadonlyMap<string, number>;
  done?: Promise<unknown>;
}

const fillings = new WeakMap<World, Filling>();

function fillingOf(world: World): Filling {
  const filling = fillings.get(world);
  if (filling === undefined) throw new Error('nothing is being filled');
  return filling;
}

/** Resolves when the pool has more blocks than before. */
async function grown(world: World): Promise<void> {
  const { blocksBefore } = fillingOf(world);
  const patience = { codes: ['unavailable'], deadlineMs: 15_000, pauseMs: 50, maxPauseMs: 200 } as const;
  await retry(patience, async () => {
    const { totalDataBlocks, raw } = await world.node.poolStatus();
    if (totalDataBlocks > blocksBefore) return;
    throw new DmthinError('unavailable', { op: 'test', what: 'the pool has not grown', poolStatus: raw });
  });
}

export const GROW: Scenario = {
  name: 'grow',
  operations: 1,
  transport: 'ioctl',
  dies: 'operation',
  ownWorld: { dataBytes: 24 * MiB },
  noLayer: true,
  config: () => ({ pool: { ...NO_POOL, maxDataBytes: bytes(4096 * MiB) } }),
  async before({ client, key, world }) {
    const { totalDataBlocks, usedDataBlocks } = await world.node.poolStatus();
    const keys: string[] = [];
    const writes = new Map<string, number>();
    for (let left = Math.ceil(totalDataBlocks * FULL) - usedDataBlocks; left > 0; left -= DEVICE_BLOCKS) {
      const name = `${key}-${keys.length}`;
      writes.set(devicePath(deviceOf(await client.prepare(name, ''))), Math.min(left, DEVICE_BLOCKS));
      keys.push(name);
    }
    fillings.set(world, { blocksBefore: totalDataBlocks, keys, writes });
  },
  async operate({ victim, world }) {
    const filling = fillingOf(world);
    const commands = [...filling.writes].map(
      ([path, count]) =>
        `dd if=/dev/zero of=${path} bs=${BLOCK_BYTES} count=${count} oflag=direct conv=notrunc`,
    );
    filling.done = runChecked(runProcess, 'sh', ['-ec', commands.join('\n')], { timeoutMs: FILL_TIMEOUT_MS });
    // It is heard of once the next daemon serves.
    filling.done.catch(() => undefined);
    await Promise.race([victim.ended, grown(world)]);
  },
  async afterStart({ world }) {
    await grown(world);
    await fillingOf(world).done;
  },
  async repeat({ client, key }) {
    await client.prepare(`${key}-new`, '');
  },
  after: ({ client, key, world }) => removeAll(client, `${key}-new`, ...fillingOf(world).keys),
};

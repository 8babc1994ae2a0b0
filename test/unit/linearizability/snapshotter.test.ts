/** Many callers on few keys, on the fake kernel, whose steps take any time: some order explains every answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { SnapshotInfo, Snapshotter } from '../../../src/snapshotter/snapshotter.ts';
import {
  anyCall,
  assertExplained,
  createRecorder,
  LABEL,
  seeded,
  type Target,
} from '../../linearizability/callers.ts';
import type { FakeKernel } from '../../fakes/dm-client.ts';
import { activeDevices, createWorld, POOL, type Running } from '../snapshotter/harness.ts';

/** @param cancel gives a signal to those calls that take one. */
function targetOf(snapshotter: Snapshotter, signal?: AbortSignal): Target {
  return {
    async ask(call) {
      const labels = 'label' in call ? { [LABEL]: call.label } : {};
      switch (call.op) {
        case 'prepare':
          await snapshotter.prepare(call.key, call.parent, labels, { signal });
          return undefined;
        case 'view':
          await snapshotter.view(call.key, call.parent, labels, { signal });
          return undefined;
        case 'commit':
          await snapshotter.commit(call.name, call.key, labels, undefined, { signal });
          return undefined;
        case 'remove':
          await snapshotter.remove(call.key, { signal });
          return undefined;
        case 'mounts':
          await snapshotter.mounts(call.key, { signal });
          return undefined;
        case 'usage':
          await snapshotter.usage(call.key, { signal });
          return undefined;
        case 'stat':
          return [await snapshotter.stat(call.key)];
        case 'update':
          return [await snapshotter.update(call.key, { kind: 'replace', labels })];
        case 'list': {
          const all: SnapshotInfo[] = [];
          for await (const page of snapshotter.list(() => true)) all.push(...page);
          return all;
        }
        default:
          return call satisfies never;
      }
    },
  };
}

const KEYS = ['a', 'b', 'c', 'd', 'e'];

/** Some steps return at once, some after a turn of the event loop, some after a while. */
function anyPause(random: () => number): () => Promise<void> {
  return async () => {
    const chance = random();
    if (chance < 0.3) return;
    if (chance < 0.8) await turn();
    else await sleep(random() * 3);
  };
}

async function assertTidy(running: Running, kernel: FakeKernel): Promise<void> {
  await running.snapshotter.cleanup();
  // Forgetting a removed snapshot is not waited for.
  while (running.store.removals().length > 0) await turn();
  const records = [...running.store.allSnapshots()];
  assert.ok(records.every(({ state }) => state === 'active' || state === 'committed'));
  const bases = running.store.bases().map(({ deviceId }) => deviceId);
  assert.deepEqual(
    [...kernel.pool(POOL).thins.keys()].toSorted((a, b) => a - b),
    [...records.map(({ deviceId }) => deviceId), ...bases].toSorted((a, b) => a - b),
    'the pool has the devices of what is there and no others',
  );
  const active = records.filter(({ state }) => state === 'active');
  assert.deepEqual(
    activeDevices(kernel),
    active.map(({ deviceId }) => `pool-snap-${deviceId}`).toSorted(),
    'and those of active snapshots are active',
  );
}

for (const asyncRemove of [false, true]) {
  test(`every answer is explained by some order${asyncRemove ? ', async_remove' : ''}`, async () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const random = seeded(seed);
      const pause = anyPause(random);
      await using world = await createWorld();
      const running = await world.start({ asyncRemove, hooks: { before: pause, after: pause } });
      const recorder = createRecorder();
      await Promise.all(
        Array.from({ length: 6 }, async (_, caller) => {
          for (let round = 0; round < 40; round += 1) {
            const controller = new AbortController();
            if (random() < 0.15) setTimeout(() => controller.abort(), random() * 4);
            const target = targetOf(running.snapshotter, controller.signal);
            await recorder.ask(target, anyCall(random, KEYS, `${caller}.${round}`));
          }
        }),
      );
      await recorder.ask(targetOf(running.snapshotter), { op: 'list' });
      try {
        assertExplained(recorder.history);
        await assertTidy(running, world.kernel);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}

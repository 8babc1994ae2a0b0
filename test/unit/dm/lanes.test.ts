import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { allIdle, createLanes, createLaneSet, type LaneKind } from '../../../src/dm/lanes.ts';

describe('lanes', () => {
  it('run as many bodies as there are lanes, in the order of asking', async () => {
    const lanes = createLanes(2);
    const gates = Array.from({ length: 5 }, () => Promise.withResolvers<unknown>());
    const started: number[] = [];
    const bodies = gates.map((gate, index) =>
      lanes.run(async () => {
        started.push(index);
        await gate.promise;
        return index;
      }),
    );
    await turn();
    assert.deepEqual(started, [0, 1]);
    gates[1]?.resolve(undefined);
    await turn();
    assert.deepEqual(started, [0, 1, 2]);
    for (const gate of gates) gate.resolve(undefined);
    assert.deepEqual(await Promise.all(bodies), [0, 1, 2, 3, 4]);
  });

  it('are given back by a body that fails', async () => {
    const lanes = createLanes(1);
    await assert.rejects(
      lanes.run(() => Promise.reject(new Error('no'))),
      /no/,
    );
    assert.equal(await lanes.run(() => Promise.resolve('yes')), 'yes');
  });

  it('are idle when nothing runs or waits', async () => {
    const lanes = createLanes(1);
    await lanes.idle();
    const gate = Promise.withResolvers<unknown>();
    let done = 0;
    const bodies = [1, 2].map(() =>
      lanes.run(async () => {
        await gate.promise;
        done += 1;
      }),
    );
    let idle = false;
    const waiting = lanes.idle().then(() => {
      idle = true;
      assert.equal(done, 2);
    });
    await turn();
    assert.equal(idle, false);
    gate.resolve(undefined);
    await Promise.all([...bodies, waiting]);
  });
});

describe('a lane set', () => {
  it('lets every kind of call run while the others are full', async () => {
    for (const total of [1, 2, 3, 8]) {
      const lanes = createLaneSet(total);
      const gate = Promise.withResolvers<unknown>();
      const full = (kind: LaneKind) => Array.from({ length: 8 }, () => lanes[kind].run(() => gate.promise));
      const blocked = [...full('wait'), ...full('ask')];
      assert.equal(await lanes.change.run(() => Promise.resolve('changed')), 'changed');
      gate.resolve(undefined);
      await Promise.all(blocked);
    }
  });

  it('uses as many lanes as it was given', async () => {
    const lanes = createLaneSet(8);
    const gate = Promise.withResolvers<unknown>();
    let running = 0;
    const bodies = (['ask', 'change', 'wait'] as const).flatMap((kind) =>
      Array.from({ length: 9 }, () =>
        lanes[kind].run(() => {
          running += 1;
          return gate.promise;
        }),
      ),
    );
    await turn();
    assert.equal(running, 8);
    let idle = false;
    const waiting = allIdle(lanes).then(() => {
      idle = true;
    });
    await turn();
    assert.equal(idle, false);
    gate.resolve(undefined);
    await Promise.all([...bodies, waiting]);
    assert.equal(running, 27);
  });
});

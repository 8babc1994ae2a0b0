import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../src/base/log.ts';
import { watchPool } from '../../../src/daemon/watch-pool.ts';
import type { DmEvents } from '../../../src/dm/events.ts';

const FOREVER_MS = 2 ** 30;

function createEvents(): DmEvents & { happen(): void; armed: number } {
  let waiting = Promise.withResolvers<'event' | 'timeout' | 'closed'>();
  const events = {
    armed: 0,
    arm: () => {
      events.armed += 1;
      return Promise.resolve();
    },
    wait: async () => {
      const why = await waiting.promise;
      if (why === 'event') waiting = Promise.withResolvers();
      return why;
    },
    close: () => {
      waiting.resolve('closed');
      return Promise.resolve();
    },
    happen: () => waiting.resolve('event'),
  };
  return events;
}

describe('the watch over the pool', () => {
  it('looks at once, and at every event, however rare the polls', async () => {
    const events = createEvents();
    const looks = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    let count = 0;
    const check = (): Promise<void> => {
      looks[count]?.resolve(undefined);
      count += 1;
      return Promise.resolve();
    };
    const stop = watchPool({ check, events, pauseMs: FOREVER_MS, log: silentLog });
    await looks[0]?.promise;
    assert.equal(events.armed, 1, 'armed before the look, so that nothing is missed');
    events.happen();
    await looks[1]?.promise;
    await stop();
    assert.equal(count, 2);
  });

  it('polls where there are no events, or none any more', async () => {
    const broken: DmEvents = {
      arm: () => Promise.reject(new Error('no such ioctl')),
      wait: () => Promise.resolve('closed'),
      close: () => Promise.resolve(),
    };
    for (const events of [undefined, broken]) {
      let count = 0;
      const third = Promise.withResolvers<undefined>();
      const check = (): Promise<void> => {
        count += 1;
        if (count === 3) third.resolve(undefined);
        return Promise.resolve();
      };
      const stop = watchPool({ check, events, pauseMs: 1, log: silentLog });
      await third.promise;
      await stop();
    }
  });

  it('ends only after a look under way', async () => {
    const look = Promise.withResolvers<undefined>();
    const begun = Promise.withResolvers<undefined>();
    let ended = false;
    const check = async (): Promise<void> => {
      begun.resolve(undefined);
      await look.promise;
      ended = true;
    };
    const stop = watchPool({ check, events: createEvents(), pauseMs: FOREVER_MS, log: silentLog });
    await begun.promise;
    const stopped = stop();
    look.resolve(undefined);
    await stopped;
    assert.ok(ended);
  });
});

/**
 * What every DmClient must do, whichever transport carries it: the promises of src/dm/client.ts, one test each.
 * Run against the fake by test/unit/dm/fake.test.ts and against the kernel by test/guest/dm-transports.test.ts.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { DmClient } from '../../src/dm/client.ts';
import {
  activateThin,
  type DmHarness,
  errorLine,
  makePool,
  nameOf,
  PREFIX,
  rejects,
  removeAll,
} from './dm-fixture.ts';
import { describePools } from './dm-pool.contract.ts';

export function describeDmClient(title: string, open: () => Promise<DmHarness>): void {
  describe(title, () => {
    let harness: DmHarness;
    let dm: DmClient;

    before(async () => {
      harness = await open();
      dm = harness.client;
    });
    afterEach(() => removeAll(dm));
    after(async () => {
      await dm.close();
      await harness.close();
    });

    describe('the kernel', () => {
      it('tells its interface version', async () => {
        const [major, minor, patch] = await dm.version();
        assert.equal(major, 4);
        assert.ok(minor >= 27 && patch >= 0, `${minor}.${patch}`);
      });

      it('tells its targets and their versions', async () => {
        const targets = await dm.targets();
        for (const wanted of ['thin', 'thin-pool', 'linear', 'error']) {
          const target = targets.find(({ name }) => name === wanted);
          assert.ok(target !== undefined, wanted);
          assert.ok(target.version[0] >= 1);
        }
      });
    });

    describe('an absent device', () => {
      const absent = nameOf('absent');

      it('is undefined where one asks for it', async () => {
        assert.equal(await dm.info(absent), undefined);
      });

      it('is not_found where one acts on it', async () => {
        await rejects(dm.load(absent, [errorLine(8)]), 'not_found', 'ENXIO', absent);
        await rejects(dm.suspend(absent), 'not_found', 'ENXIO', absent);
        await rejects(dm.resume(absent), 'not_found', 'ENXIO', absent);
        await rejects(dm.remove(absent), 'not_found', 'ENXIO', absent);
        await rejects(dm.remove(absent, { deferred: true }), 'not_found', 'ENXIO', absent);
        await rejects(dm.table(absent), 'not_found', 'ENXIO', absent);
        await rejects(dm.status(absent), 'not_found', 'ENXIO', absent);
        await rejects(dm.message(absent, 'create_thin 1'), 'not_found', 'ENXIO', absent);
      });
    });

    describe('create', () => {
      it('makes a live device', async () => {
        const name = nameOf('made');
        const made = await dm.create(name, {
          uuid: 'DMTHIN-made',
          table: [errorLine(8), errorLine(16, 8)],
        });
        assert.deepEqual(await dm.info(name), made);
        const { major, minor, ...rest } = made;
        assert.deepEqual(rest, {
          name,
          uuid: 'DMTHIN-made',
          openCount: 0,
          eventNr: 0,
          suspended: false,
          readOnly: false,
          live: true,
          inactive: false,
          deferredRemove: false,
        });
        assert.deepEqual(
          (await dm.list()).find((device) => device.name === name),
          { name, major, minor },
        );
        assert.deepEqual(await dm.table(name), [errorLine(8), errorLine(16, 8)]);
      });

      it('of a taken name is busy and leaves the first device alone', async () => {
        const name = nameOf('taken');
        const first = await dm.create(name, { uuid: 'DMTHIN-first', table: [errorLine(8)] });
        await rejects(dm.create(name, { uuid: '', table: [errorLine(16)] }), 'busy', 'EBUSY', name);
        assert.deepEqual(await dm.info(name), first);
        assert.deepEqual(await dm.table(name), [errorLine(8)]);
      });

      it('leaves nothing behind when the table is refused', async () => {
        const name = nameOf('refused');
        const nonsense = { ...errorLine(8), target: 'dmthin-nonsense' };
        await rejects(dm.create(name, { uuid: '', table: [nonsense] }), 'invalid_argument', 'EINVAL', name);
        assert.equal(await dm.info(name), undefined);
        const { name: pool } = await makePool(harness);
        await rejects(activateThin(dm, pool, 'refused', 99), 'not_found', 'ENODATA', name);
        assert.equal(await dm.info(name), undefined);
        assert.ok(!(await dm.list()).some((device) => device.name === name));
      });

      it('makes a read-only device when asked', async () => {
        const made = await dm.create(nameOf('ro'), { uuid: '', table: [errorLine(8)], readOnly: true });
        assert.equal(made.readOnly, true);
      });

      it('takes names at their limits', async () => {
        for (const name of [nameOf('x'.repeat(127 - PREFIX.length)), nameOf('#+-.:=@_09Az')]) {
          await dm.create(name, { uuid: '', table: [errorLine(8)] });
          assert.equal((await dm.info(name))?.name, name);
          assert.ok((await dm.list()).some((device) => device.name === name));
          assert.equal(await dm.remove(name), 'removed');
        }
      });
    });

    describe('remove', () => {
      const name = nameOf('gone');

      it('takes the device away', async () => {
        await dm.create(name, { uuid: '', table: [errorLine(8)] });
        assert.equal(await dm.remove(name), 'removed');
        assert.equal(await dm.info(name), undefined);
      });

      it('of an open device is busy and changes nothing', async () => {
        await dm.create(name, { uuid: '', table: [errorLine(8)] });
        const release = await harness.hold(name);
        const before = await dm.info(name);
        assert.equal(before?.openCount, 1);
        await rejects(dm.remove(name), 'busy', 'EBUSY', name);
        assert.deepEqual(await dm.info(name), before);
        await release();
        assert.equal(await dm.remove(name), 'removed');
      });

      it('waits for the last close when deferred', async () => {
        await dm.create(name, { uuid: '', table: [errorLine(8)] });
        const release = await harness.hold(name);
        assert.equal(await dm.remove(name, { deferred: true }), 'deferred');
        assert.equal((await dm.info(name))?.deferredRemove, true);
        await release();
        assert.equal(await dm.info(name), undefined);
      });

      it('happens at once when deferred and nobody has the device open', async () => {
        await dm.create(name, { uuid: '', table: [errorLine(8)] });
        assert.equal(await dm.remove(name, { deferred: true }), 'removed');
        assert.equal(await dm.info(name), undefined);
      });
    });

    describe('suspend, load and resume', () => {
      const name = nameOf('table');

      it('freezes and thaws, and each is idempotent', async () => {
        await dm.create(name, { uuid: '', table: [errorLine(8)] });
        for (const options of [undefined, { noFlush: true, skipLockfs: true }]) {
          await dm.suspend(name, options);
          await dm.suspend(name, options);
          assert.equal((await dm.info(name))?.suspended, true);
          assert.equal((await dm.resume(name)).suspended, false);
          assert.equal((await dm.resume(name)).suspended, false);
        }
      });

      it('a loaded table takes effect at resume', async () => {
        await dm.create(name, { uuid: '', table: [errorLine(8)] });
        await dm.load(name, [errorLine(16)], { readOnly: true });
        assert.equal((await dm.info(name))?.inactive, true);
        assert.deepEqual(await dm.table(name), [errorLine(8)]);
        await dm.suspend(name);
        const after = await dm.resume(name);
        assert.deepEqual([after.inactive, after.live, after.readOnly], [false, true, true]);
        assert.deepEqual(await dm.table(name), [errorLine(16)]);
      });

      it('a refused table leaves the live one alone', async () => {
        await dm.create(name, { uuid: '', table: [errorLine(8)] });
        await rejects(dm.load(name, [errorLine(8), errorLine(8, 16)]), 'invalid_argument', 'EINVAL', name);
        await rejects(dm.load(name, []), 'invalid_argument', 'EINVAL', name);
        assert.deepEqual(await dm.table(name), [errorLine(8)]);
        assert.equal((await dm.info(name))?.inactive, false);
      });
    });

    describePools(() => harness);

    describe('many', () => {
      it('devices are all listed, past the first answer buffer', async () => {
        // Each takes 152 bytes of the answer: 120 of them do not fit into the 16 KiB of the first try.
        const names = Array.from({ length: harness.many.devices }, (_, index) =>
          nameOf(`${index}-`.padEnd(127 - PREFIX.length, 'n')),
        );
        await Promise.all(names.map((name) => dm.create(name, { uuid: '', table: [errorLine(8)] })));
        const listed = new Set((await dm.list()).map(({ name }) => name));
        assert.deepEqual(
          names.filter((name) => !listed.has(name)),
          [],
        );
      });

      it('lines of one table are all told, past the first answer buffer', async () => {
        const name = nameOf('long');
        const table = Array.from({ length: 600 }, (_, index) => errorLine(8, index * 8));
        await dm.create(name, { uuid: '', table });
        assert.deepEqual(await dm.table(name), table);
      });

      it('callers at once each get their own answer', async () => {
        const { name: pool } = await makePool(harness);
        const ids = Array.from({ length: harness.many.callers }, (_, index) => index);
        const outcomes = await Promise.allSettled(
          ids.map(async (id) => {
            await dm.message(pool, `create_thin ${id}`);
            const made = await activateThin(dm, pool, `thin-${id}`, id);
            const [table] = await dm.table(made.name);
            assert.ok(table?.params.endsWith(` ${id}`), table?.params);
            await rejects(dm.message(pool, `create_thin ${id}`), 'already_exists', 'EEXIST', pool);
            assert.equal(await dm.remove(made.name), 'removed');
            await dm.message(pool, `delete ${id}`);
          }),
        );
        assert.deepEqual(
          outcomes.filter(({ status }) => status === 'rejected'),
          [],
        );
      });
    });
  });
}

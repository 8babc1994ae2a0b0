/**
 * What every DmClient must do, whichever transport carries it: the promises of src/dm/client.ts, one test each.
 * Run against the fake by test/unit/dm/fake.test.ts and against the kernel by test/guest/dm-transports.test.ts.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { DmthinError, type ErrorCode } from '../../src/base/errors.ts';
import { deviceId, type DmName, dmName, type Sectors, sectors } from '../../src/base/units.ts';
import { type DmClient, devicePath, type DmLine } from '../../src/dm/client.ts';
import { parsePoolStatus, parseThinStatus, type HealthyPoolStatus } from '../../src/dm/status.ts';
import {
  parsePoolTable,
  parseThinTable,
  type PoolFeature,
  poolTable,
  thinTable,
} from '../../src/dm/tables.ts';

export interface DmHarness {
  readonly client: DmClient;
  /** Two devices for a new pool: metadata of 4 MiB whose first block is zero, data of 64 MiB. */
  freshPoolDevices(): Promise<{ readonly metadataDevice: string; readonly dataDevice: string }>;
  /** How much the tests with many devices and callers ask of a transport: a slow one gets less. */
  readonly many: { readonly devices: number; readonly callers: number };
  /** Opens the device as a mount would. @returns closes it. */
  hold(name: DmName): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

const PREFIX = 'dmthin-contract-';
const BLOCK = sectors(128);
const SMALL_POOL = sectors(65_536);
const GROWN_POOL = sectors(131_072);
const THIN = sectors(20_480);

const nameOf = (suffix: string): DmName => dmName(`${PREFIX}${suffix}`);
/** A target that every kernel has and that needs no other device. */
const errorLine = (length: number, start = 0): DmLine => ({
  start: sectors(start),
  length: sectors(length),
  target: 'error',
  params: '',
});

/** Asserts the code and the errno together with what every error must say. */
async function rejects(
  action: Promise<unknown>,
  code: ErrorCode,
  errno: string,
  device: DmName,
): Promise<DmthinError> {
  const error: unknown = await action.then(
    () => assert.fail(`expected ${code} (${errno})`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof DmthinError, String(error));
  assert.deepEqual([error.code, error.detail.errno], [code, errno], error.message);
  assert.equal(error.detail.device, device);
  assert.notEqual(error.detail.op, '');
  assert.notEqual(error.detail.what, '');
  return error;
}

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

    const makePool = async () => {
      const name = nameOf('pool');
      const devices = await harness.freshPoolDevices();
      const table = (length: Sectors, features: readonly PoolFeature[] = []): DmLine =>
        poolTable({ ...devices, length, blockSectors: BLOCK, lowWaterBlocks: 4, features });
      await dm.create(name, { uuid: '', table: [table(SMALL_POOL)] });
      return { name, table };
    };
    const poolStatus = async (pool: DmName): Promise<HealthyPoolStatus> => {
      const status = parsePoolStatus(pool, await dm.status(pool));
      assert.ok(status.kind === 'ok', status.raw);
      return status;
    };
    const makeThin = (pool: DmName, suffix: string, id: number) =>
      dm.create(nameOf(suffix), {
        uuid: '',
        table: [thinTable({ length: THIN, poolDevice: devicePath(pool), deviceId: deviceId(id) })],
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
        const { name: pool } = await makePool();
        await rejects(makeThin(pool, 'refused', 99), 'not_found', 'ENODATA', name);
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

    describe('a thin pool', () => {
      it('tells its status and table, with and without a flush', async () => {
        const { name: pool } = await makePool();
        const { raw, usedMetadataBlocks, totalMetadataBlocks, metadataLowWaterBlocks, ...rest } =
          await poolStatus(pool);
        assert.match(raw, /^0 65536 thin-pool 0 /);
        assert.ok(usedMetadataBlocks > 0 && usedMetadataBlocks < totalMetadataBlocks, raw);
        assert.ok(metadataLowWaterBlocks !== undefined && metadataLowWaterBlocks > 0, raw);
        assert.deepEqual(rest, {
          kind: 'ok',
          transactionId: 0n,
          usedDataBlocks: 0,
          totalDataBlocks: SMALL_POOL / BLOCK,
          heldRoot: undefined,
          mode: 'rw',
          discard: 'passdown',
          whenFull: 'queue',
          needsCheck: false,
        });
        assert.deepEqual(await dm.status(pool, { noFlush: false }), await dm.status(pool, { noFlush: true }));
        const { metadataDevice, dataDevice, ...table } = parsePoolTable(pool, await dm.table(pool));
        assert.notEqual(metadataDevice, dataDevice);
        assert.deepEqual(table, { length: SMALL_POOL, blockSectors: BLOCK, lowWaterBlocks: 4, features: [] });
      });

      it('answers a wrong message with its errno', async () => {
        const { name: pool } = await makePool();
        assert.equal(await dm.message(pool, 'create_thin 1'), '');
        assert.equal(await dm.message(pool, 'create_snap 2 1'), '');
        await rejects(dm.message(pool, 'create_thin 1'), 'already_exists', 'EEXIST', pool);
        await rejects(dm.message(pool, 'create_snap 1 2'), 'already_exists', 'EEXIST', pool);
        await rejects(dm.message(pool, 'create_snap 3 77'), 'not_found', 'ENODATA', pool);
        await rejects(dm.message(pool, 'delete 77'), 'not_found', 'ENODATA', pool);
        await rejects(dm.message(pool, 'create_thin 16777216'), 'invalid_argument', 'EINVAL', pool);
        await rejects(dm.message(pool, 'no_such_message'), 'invalid_argument', 'EINVAL', pool);
      });

      it('refuses to delete an active thin, and the pool itself while a thin uses it', async () => {
        const { name: pool } = await makePool();
        await dm.message(pool, 'create_thin 1');
        const { name: thin } = await makeThin(pool, 'thin', 1);
        assert.equal((await dm.info(pool))?.openCount, 1);
        await rejects(dm.message(pool, 'delete 1'), 'busy', 'EBUSY', pool);
        await rejects(dm.remove(pool), 'busy', 'EBUSY', pool);
        await dm.remove(thin);
        assert.equal(await dm.message(pool, 'delete 1'), '');
        assert.equal(await dm.remove(pool), 'removed');
      });

      it('compares and sets its transaction id', async () => {
        const { name: pool } = await makePool();
        await dm.message(pool, 'set_transaction_id 0 18446744073709551615');
        assert.equal((await poolStatus(pool)).transactionId, 18_446_744_073_709_551_615n);
        await rejects(dm.message(pool, 'set_transaction_id 0 1'), 'invalid_argument', 'EINVAL', pool);
      });

      it('holds one metadata snapshot at a time', async () => {
        const { name: pool } = await makePool();
        await rejects(dm.message(pool, 'release_metadata_snap'), 'invalid_argument', 'EINVAL', pool);
        await dm.message(pool, 'reserve_metadata_snap');
        assert.notEqual((await poolStatus(pool)).heldRoot, undefined);
        await rejects(dm.message(pool, 'reserve_metadata_snap'), 'busy', 'EBUSY', pool);
        await dm.message(pool, 'release_metadata_snap');
        assert.equal((await poolStatus(pool)).heldRoot, undefined);
      });

      it('grows by load, suspend and resume, and never shrinks', async () => {
        const { name: pool, table } = await makePool();
        await dm.load(pool, [table(GROWN_POOL)]);
        await dm.suspend(pool);
        await dm.resume(pool);
        assert.equal((await poolStatus(pool)).totalDataBlocks, GROWN_POOL / BLOCK);
        await dm.load(pool, [table(SMALL_POOL)]);
        await dm.suspend(pool);
        await rejects(dm.resume(pool), 'invalid_argument', 'EINVAL', pool);
      });

      it('is unavailable for changes when it is read-only', async () => {
        const { name: pool, table } = await makePool();
        await dm.load(pool, [table(SMALL_POOL, ['read_only', 'error_if_no_space'])]);
        await dm.suspend(pool);
        await dm.resume(pool);
        const status = await poolStatus(pool);
        assert.deepEqual([status.mode, status.whenFull], ['ro', 'error']);
        await rejects(dm.message(pool, 'create_thin 1'), 'unavailable', 'EOPNOTSUPP', pool);
      });

      it('refuses messages to a device that takes none', async () => {
        const name = nameOf('deaf');
        await dm.create(name, { uuid: '', table: [errorLine(8)] });
        await rejects(dm.message(name, 'create_thin 1'), 'invalid_argument', 'EINVAL', name);
      });

      it('a thin device tells its table and status', async () => {
        const { name: pool } = await makePool();
        await dm.message(pool, 'create_thin 5');
        const { name } = await makeThin(pool, 'thin', 5);
        const info = await dm.info(pool);
        assert.deepEqual(parseThinTable(name, await dm.table(name)), {
          length: THIN,
          poolDevice: `${info?.major ?? ''}:${info?.minor ?? ''}`,
          deviceId: deviceId(5),
        });
        const { raw, ...status } = parseThinStatus(name, await dm.status(name));
        assert.deepEqual(status, { kind: 'ok', mappedSectors: 0, highestMappedSector: undefined });
        assert.equal(raw, `0 ${THIN} thin 0 -`);
      });
    });

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
        const { name: pool } = await makePool();
        const ids = Array.from({ length: harness.many.callers }, (_, index) => index);
        const outcomes = await Promise.allSettled(
          ids.map(async (id) => {
            await dm.message(pool, `create_thin ${id}`);
            const made = await makeThin(pool, `thin-${id}`, id);
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

/** Removes every device of this suite; thins before their pools. */
async function removeAll(dm: DmClient): Promise<void> {
  const names = (await dm.list()).map(({ name }) => name).filter((name) => name.startsWith(PREFIX));
  const pools = names.filter((name) => name.includes('pool'));
  const others = names.filter((name) => !pools.includes(name));
  await Promise.all(others.map((name) => dm.remove(name)));
  await Promise.all(pools.map((name) => dm.remove(name)));
}

/** The part of the device-mapper contract that is about thin pools; see dm-client.contract.ts. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { deviceId } from '../../src/base/units.ts';
import type { DmClient } from '../../src/dm/client.ts';
import { parseThinStatus } from '../../src/dm/status.ts';
import { parsePoolTable, parseThinTable } from '../../src/dm/tables.ts';
import {
  activateThin,
  BLOCK,
  type DmHarness,
  errorLine,
  GROWN_POOL,
  healthyStatus,
  makePool,
  nameOf,
  rejects,
  SMALL_POOL,
  THIN,
} from './dm-fixture.ts';

export function describePools(open: () => DmHarness): void {
  describe('a thin pool', () => {
    let harness: DmHarness;
    let dm: DmClient;
    before(() => {
      harness = open();
      dm = harness.client;
    });

    it('tells its status and table, with and without a flush', async () => {
      const { name: pool } = await makePool(harness);
      const { raw, usedMetadataBlocks, totalMetadataBlocks, metadataLowWaterBlocks, ...rest } =
        await healthyStatus(dm, pool);
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
      const { name: pool } = await makePool(harness);
      assert.equal(await dm.message(pool, 'create_thin 1'), '');
      assert.equal(await dm.message(pool, 'create_snap 2 1'), '');
      await rejects(dm.message(pool, 'create_thin 1'), 'already_exists', 'EEXIST', pool);
      await rejects(dm.message(pool, 'create_snap 1 2'), 'already_exists', 'EEXIST', pool);
      await rejects(dm.message(pool, 'create_snap 3 77'), 'not_found', 'ENODATA', pool);
      await rejects(dm.message(pool, 'delete 77'), 'not_found', 'ENODATA', pool);
      await rejects(dm.message(pool, 'create_thin 16777216'), 'invalid_argument', 'EINVAL', pool);
      await rejects(dm.message(pool, 'no_such_message'), 'invalid_argument', 'EINVAL', pool);
    });

    it('sends a message only while another device is absent', async () => {
      const { name: pool } = await makePool(harness);
      await dm.message(pool, 'create_thin 1');
      const origin = nameOf('thin');
      const [line] = (await dm.messageUnlessPresent(pool, 'create_snap 2 1', origin)) ?? [];
      assert.deepEqual([line], await dm.status(pool));
      await rejects(
        dm.messageUnlessPresent(pool, 'create_snap 2 1', origin),
        'already_exists',
        'EEXIST',
        pool,
      );
      await activateThin(dm, pool, 'thin', 1);
      assert.equal(await dm.messageUnlessPresent(pool, 'create_snap 3 1', origin), undefined);
      await dm.remove(origin);
      assert.equal((await dm.messageUnlessPresent(pool, 'create_snap 3 1', origin))?.length, 1);
    });

    it('refuses to delete an active thin, and the pool itself while a thin uses it', async () => {
      const { name: pool } = await makePool(harness);
      await dm.message(pool, 'create_thin 1');
      const { name: thin } = await activateThin(dm, pool, 'thin', 1);
      assert.equal((await dm.info(pool))?.openCount, 1);
      await rejects(dm.message(pool, 'delete 1'), 'busy', 'EBUSY', pool);
      await rejects(dm.remove(pool), 'busy', 'EBUSY', pool);
      await dm.remove(thin);
      assert.equal(await dm.message(pool, 'delete 1'), '');
      assert.equal(await dm.remove(pool), 'removed');
    });

    it('compares and sets its transaction id', async () => {
      const { name: pool } = await makePool(harness);
      await dm.message(pool, 'set_transaction_id 0 18446744073709551615');
      assert.equal((await healthyStatus(dm, pool)).transactionId, 18_446_744_073_709_551_615n);
      await rejects(dm.message(pool, 'set_transaction_id 0 1'), 'invalid_argument', 'EINVAL', pool);
    });

    it('holds one metadata snapshot at a time', async () => {
      const { name: pool } = await makePool(harness);
      await rejects(dm.message(pool, 'release_metadata_snap'), 'invalid_argument', 'EINVAL', pool);
      await dm.message(pool, 'reserve_metadata_snap');
      assert.notEqual((await healthyStatus(dm, pool)).heldRoot, undefined);
      await rejects(dm.message(pool, 'reserve_metadata_snap'), 'busy', 'EBUSY', pool);
      await dm.message(pool, 'release_metadata_snap');
      assert.equal((await healthyStatus(dm, pool)).heldRoot, undefined);
    });

    it('grows by load, suspend and resume, and never shrinks', async () => {
      const { name: pool, table } = await makePool(harness);
      await dm.load(pool, [table(GROWN_POOL)]);
      await dm.suspend(pool);
      await dm.resume(pool);
      assert.equal((await healthyStatus(dm, pool)).totalDataBlocks, GROWN_POOL / BLOCK);
      await dm.load(pool, [table(SMALL_POOL)]);
      await dm.suspend(pool);
      await rejects(dm.resume(pool), 'invalid_argument', 'EINVAL', pool);
    });

    it('takes messages while it is suspended, but activates nothing', async () => {
      const { name: pool } = await makePool(harness);
      await dm.suspend(pool, { noFlush: true });
      await dm.message(pool, 'create_thin 5');
      await assert.rejects(activateThin(dm, pool, 'early', 5), { code: 'invalid_argument' });
      await dm.resume(pool);
      await activateThin(dm, pool, 'early', 5);
    });

    it('is unavailable for changes when it is read-only', async () => {
      const { name: pool, table } = await makePool(harness);
      await dm.load(pool, [table(SMALL_POOL, ['read_only', 'error_if_no_space'])]);
      await dm.suspend(pool);
      await dm.resume(pool);
      const status = await healthyStatus(dm, pool);
      assert.deepEqual([status.mode, status.whenFull], ['ro', 'error']);
      await rejects(dm.message(pool, 'create_thin 1'), 'unavailable', 'EOPNOTSUPP', pool);
    });

    it('refuses messages to a device that takes none', async () => {
      const name = nameOf('deaf');
      await dm.create(name, { uuid: '', table: [errorLine(8)] });
      await rejects(dm.message(name, 'create_thin 1'), 'invalid_argument', 'EINVAL', name);
    });

    it('a thin device tells its table and status', async () => {
      const { name: pool } = await makePool(harness);
      await dm.message(pool, 'create_thin 5');
      const { name } = await activateThin(dm, pool, 'thin', 5);
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
}

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { deviceId, dmName, MAX_DEVICE_ID } from '../../../src/base/units.ts';
import {
  baseDeviceName,
  discardDeviceName,
  MAX_POOL_NAME_LENGTH,
  snapshotDeviceName,
  poolUuid,
} from '../../../src/pool/names.ts';

it('the longest pool name leaves room for every device of the pool', () => {
  const pool = dmName('x'.repeat(MAX_POOL_NAME_LENGTH));
  const id = deviceId(MAX_DEVICE_ID);
  const names = [snapshotDeviceName, baseDeviceName, discardDeviceName].map((nameOf) => nameOf(pool, id));
  assert.equal(Math.max(...names.map((name) => name.length)), 127);
  assert.ok(poolUuid(pool).length <= 128);
});

/** docs/errors.md and the code say the same. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { DmthinError, ERROR_CODES } from '../../../src/base/errors.ts';
import { toFailure } from '../../../src/cli/failure.ts';
import { toGrpcStatus } from '../../../src/grpc/status.ts';

test('the table of docs/errors.md has every code with its gRPC status and exit code', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/errors.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` *\|[^|]*\| (\w+) *\| (\d+) *\|/gm)].map(
    ([, code, grpc, exit]) => [code, grpc, Number(exit)],
  );
  const expected = ERROR_CODES.map((code) => {
    const error = new DmthinError(code, { op: 'test', what: 'test' });
    return [code, status[toGrpcStatus(error).code], toFailure(error, 'dmthin').exitCode];
  });
  assert.deepEqual(rows, expected);
});

test('an error says everything that is known, in one order', () => {
  const error = new DmthinError('busy', {
    op: 'Remove',
    what: 'the device is open',
    device: 'pool-snap-1',
    deviceId: 1,
    errno: 'EBUSY',
    poolStatus: '0 100 thin-pool 1 2/3',
    nextStep: 'close it',
  });
  assert.equal(
    error.message,
    'Remove: the device is open (device pool-snap-1, id 1): EBUSY; pool status: 0 100 thin-pool 1 2/3; next step: close it',
  );
  const outer = error.with({ op: 'Cleanup' }, 'failed_precondition');
  assert.equal(outer.code, 'failed_precondition');
  assert.match(outer.message, /^Cleanup: the device is open \(device pool-snap-1, id 1\): EBUSY;/);
  assert.equal(outer.cause, error);
});

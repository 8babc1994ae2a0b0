/** Asserts a refusal of the snapshotter, seen directly or over the wire. */
import assert from 'node:assert/strict';
import { DmthinError, type ErrorCode } from '../src/base/errors.ts';

export async function refuses(action: Promise<unknown>, code: ErrorCode, pattern?: RegExp): Promise<void> {
  await assert.rejects(action, (error) => {
    assert.ok(error instanceof DmthinError, String(error));
    assert.equal(error.code, code, error.message);
    if (pattern !== undefined) assert.match(error.message, pattern);
    return true;
  });
}

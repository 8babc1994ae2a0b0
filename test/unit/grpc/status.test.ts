import { status } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError, ERROR_CODES, type ErrorCode } from '../../../src/base/errors.ts';
import { fromGrpcStatus, MAX_STATUS_TEXT_BYTES, statusText, toGrpcStatus } from '../../../src/grpc/status.ts';

const EXPECTED: Readonly<Record<ErrorCode, keyof typeof status>> = {
  invalid_argument: 'INVALID_ARGUMENT',
  not_found: 'NOT_FOUND',
  already_exists: 'ALREADY_EXISTS',
  failed_precondition: 'FAILED_PRECONDITION',
  busy: 'FAILED_PRECONDITION',
  resource_exhausted: 'RESOURCE_EXHAUSTED',
  unavailable: 'UNAVAILABLE',
  unsupported: 'INTERNAL',
  cancelled: 'CANCELLED',
  deadline_exceeded: 'DEADLINE_EXCEEDED',
  config: 'INTERNAL',
  locked: 'UNAVAILABLE',
  internal: 'INTERNAL',
};

describe('status codes', () => {
  for (const code of ERROR_CODES) {
    it(`${code} is ${EXPECTED[code]}`, () => {
      const error = new DmthinError(code, { op: 'Remove', what: 'it did not work', nextStep: 'try again' });
      assert.deepEqual(toGrpcStatus(error), {
        code: status[EXPECTED[code]],
        details: 'Remove: it did not work; next step: try again',
      });
    });
  }

  it('come back as the code they stand for', () => {
    for (const code of ERROR_CODES) {
      if (['busy', 'unsupported', 'config', 'locked'].includes(code)) continue;
      assert.equal(fromGrpcStatus(status[EXPECTED[code]]), code);
    }
    assert.equal(fromGrpcStatus(status.UNIMPLEMENTED), 'unsupported');
    assert.equal(fromGrpcStatus(status.DATA_LOSS), 'internal');
  });
});

describe('status texts', () => {
  it('that fit are left alone', () => {
    for (const text of ['', 'plain', 'line\nline\r\n\ttab', '100% "ünï" \u{1f4be} \0', 'x'.repeat(4096)]) {
      assert.equal(statusText(text), text);
    }
  });

  it('that are long are cut so that they fit percent-encoded', () => {
    for (const character of ['x', '%', 'é', '\n', '\u{1f4be}']) {
      const cut = statusText(character.repeat(100_000));
      const encoded = encodeURI(cut).length;
      assert.ok(cut.endsWith('...'));
      assert.ok(encoded <= MAX_STATUS_TEXT_BYTES && encoded > MAX_STATUS_TEXT_BYTES - 12, `${encoded}`);
    }
  });

  it('are never cut inside a character', () => {
    const cut = statusText('x' + '\u{1f4be}'.repeat(5000));
    assert.ok(cut.isWellFormed());
    assert.match(cut, /^x\u{1f4be}+\.\.\.$/u);
  });

  it('with half a surrogate pair do not break the encoding', () => {
    assert.equal(statusText('a\ud800b\udc00c'), 'a\ufffdb\ufffdc');
    assert.ok(statusText(`${'x'.repeat(4095)}\u{1f4be}`).isWellFormed());
  });
});

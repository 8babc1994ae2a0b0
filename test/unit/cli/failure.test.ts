import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError, type ErrorCode } from '../../../src/base/errors.ts';
import { ConfigProblemsError, printFailure, toFailure } from '../../../src/cli/failure.ts';

const exitCodeOf = (code: ErrorCode, errno?: string) =>
  toFailure(new DmthinError(code, { op: 'op', what: 'what', errno }), 'dmthin').exitCode;

function printed(error: unknown, json: boolean): string {
  const lines: string[] = [];
  const terminal = {
    out: () => assert.fail('on standard output'),
    err: (text: string) => lines.push(text),
    colour: false,
  };
  printFailure(toFailure(error, 'dmthin x'), terminal, json);
  return lines.join('\n');
}

const FULL = new DmthinError('busy', {
  op: 'pool destroy p',
  what: 'in use',
  device: 'p',
  deviceId: 7,
  errno: 'EBUSY',
  poolStatus: '0 8 thin-pool Fail',
  nextStep: 'wait',
});

describe('a failure', () => {
  for (const [code, errno, exitCode] of [
    ['invalid_argument', undefined, 64],
    ['not_found', undefined, 1],
    ['failed_precondition', undefined, 1],
    ['internal', undefined, 1],
    ['unavailable', undefined, 69],
    ['unsupported', undefined, 69],
    ['unsupported', 'EPERM', 77],
    ['internal', 'EACCES', 77],
    ['already_exists', undefined, 73],
    ['resource_exhausted', 'ENOSPC', 73],
    ['busy', 'EBUSY', 75],
    ['locked', undefined, 75],
    ['deadline_exceeded', undefined, 75],
    ['config', undefined, 78],
  ] as const) {
    it(`${code}${errno === undefined ? '' : ` with ${errno}`} ends with ${exitCode}`, () => {
      assert.equal(exitCodeOf(code, errno), exitCode);
    });
  }

  it('is a message and a next step for people', () => {
    assert.equal(
      printed(FULL, false),
      'dmthin: pool destroy p: in use (device p, id 7): EBUSY; pool status: 0 8 thin-pool Fail\n  next step: wait',
    );
  });

  it('is one object for programs', () => {
    assert.deepEqual(JSON.parse(printed(FULL, true)), {
      error: {
        code: 'busy',
        message: 'pool destroy p: in use (device p, id 7): EBUSY; pool status: 0 8 thin-pool Fail',
        next_step: 'wait',
        exit_code: 75,
        op: 'pool destroy p',
        device: 'p',
        device_id: 7,
        errno: 'EBUSY',
        pool_status: '0 8 thin-pool Fail',
      },
    });
  });

  it('of a configuration has every problem', () => {
    const error = new ConfigProblemsError([
      { source: 'f', line: 1, key: 'a', what: 'is wrong' },
      { source: '--root', what: 'is too' },
    ]);
    assert.equal(
      printed(error, false),
      'dmthin: the configuration has 2 problems\n  f:1: a is wrong\n  --root: is too',
    );
    assert.deepEqual(JSON.parse(printed(error, true)), {
      error: {
        code: 'config',
        message: 'the configuration has 2 problems',
        exit_code: 78,
        problems: [
          { source: 'f', line: 1, key: 'a', what: 'is wrong' },
          { source: '--root', what: 'is too' },
        ],
      },
    });
  });

  it('that nobody foresaw keeps its words', () => {
    assert.equal(printed(new TypeError('x is not a function'), false), 'dmthin: dmthin: x is not a function');
  });
});

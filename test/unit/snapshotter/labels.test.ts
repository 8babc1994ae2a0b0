import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasCode } from '../../../src/base/errors.ts';
import {
  MAX_KEY_BYTES,
  MAX_LABEL_BYTES,
  validateKey,
  validateLabels,
} from '../../../src/snapshotter/labels.ts';

function refused(words: RegExp): (error: unknown) => boolean {
  return (error) => hasCode(error, 'invalid_argument') && words.test(error.message);
}

describe('labels', () => {
  it('may have key and value of 4096 bytes together', () => {
    validateLabels({}, 'Prepare');
    validateLabels(
      { key: 'v'.repeat(MAX_LABEL_BYTES - 3), other: 'v'.repeat(MAX_LABEL_BYTES - 5) },
      'Prepare',
    );
  });

  it('may not have one byte more', () => {
    assert.throws(
      () => validateLabels({ fine: '', key: 'v'.repeat(MAX_LABEL_BYTES - 2) }, 'Prepare'),
      refused(/^Prepare: the label "key" has 4097 bytes/),
    );
  });

  it('are counted in UTF-8 bytes', () => {
    validateLabels({ k: 'é'.repeat(2047) }, 'Update');
    assert.throws(() => validateLabels({ k: 'é'.repeat(2048) }, 'Update'), refused(/4097 bytes/));
  });

  it('with a long key are named by its beginning only', () => {
    assert.throws(
      () => validateLabels({ ['k'.repeat(5000)]: '' }, 'Commit'),
      (error) => refused(/"k{64}\.\.\."/)(error) && error instanceof Error && error.message.length < 200,
    );
  });
});

describe('keys', () => {
  it('may hold anything but NUL', () => {
    for (const key of [
      'default/1/a',
      ' ',
      '"',
      '\n',
      '/',
      '..',
      'ünï',
      '\u{1f4be}',
      'k'.repeat(MAX_KEY_BYTES),
    ]) {
      validateKey(key, 'Stat');
    }
  });

  it('are not empty', () => {
    assert.throws(() => validateKey('', 'Stat'), refused(/^Stat: the key is empty/));
  });

  it('have at most 1024 UTF-8 bytes', () => {
    assert.throws(() => validateKey('k'.repeat(MAX_KEY_BYTES + 1), 'Stat'), refused(/1025 bytes/));
    validateKey('é'.repeat(512), 'Stat');
    assert.throws(
      () => validateKey('é'.repeat(513), 'Commit', 'name'),
      refused(/^Commit: the name .*1026 bytes/),
    );
  });

  it('have no NUL, which the message shows escaped', () => {
    assert.throws(() => validateKey('a\0b', 'View', 'parent'), refused(/the parent "a\\u0000b" has a NUL/));
  });
});

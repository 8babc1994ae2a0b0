import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import { errnoCode, errnoError, errnoFromWords, errnoName, errnoNumber } from '../../../src/dm/errno.ts';
import { dmName } from '../../../src/base/units.ts';

/** Two numbers have two names each; the table has the one that the kernel's sources use. */
const SYNONYMS = new Set(['EWOULDBLOCK', 'ENOTSUP']);

describe('errno', () => {
  it('agrees with every name and number that Node knows', () => {
    const known = Object.entries(constants.errno).filter(([name]) => !SYNONYMS.has(name));
    assert.ok(known.length > 70);
    for (const [name, number] of known) {
      assert.equal(errnoName(number), name);
      assert.equal(errnoNumber(name), number);
    }
  });

  it('has no name for numbers that Linux does not define', () => {
    assert.deepEqual([0, 41, 58, 134, 9999].map(errnoName), [
      'errno 0',
      'errno 41',
      'errno 58',
      'errno 134',
      'errno 9999',
    ]);
    assert.equal(errnoNumber(''), undefined);
    assert.equal(errnoNumber('ENOSUCHTHING'), undefined);
    assert.equal(errnoName(133), 'EHWPOISON');
  });

  it('means what the client promises', () => {
    const promised = {
      EBUSY: 'busy',
      ENXIO: 'not_found',
      ENODEV: 'not_found',
      EEXIST: 'already_exists',
      ENODATA: 'not_found',
      ENOSPC: 'resource_exhausted',
      EOPNOTSUPP: 'unavailable',
      EPERM: 'unsupported',
      EACCES: 'unsupported',
      EINVAL: 'invalid_argument',
      EIO: 'internal',
      ENOMEM: 'internal',
    };
    for (const [name, code] of Object.entries(promised)) assert.equal(errnoCode(name), code, name);
  });

  it('makes an error that says everything', () => {
    const error = errnoError('EBUSY', { op: 'remove', what: 'cannot remove', device: dmName('x') });
    assert.equal(error.code, 'busy');
    assert.equal(
      error.message,
      'remove: cannot remove (device x): EBUSY; next step: see who holds the device: findmnt, lsblk, dmsetup ls --tree',
    );
    const own = errnoError('EBUSY', { op: 'remove', what: 'cannot remove', nextStep: 'wait' });
    assert.equal(own.detail.nextStep, 'wait');
  });

  it('knows the words of glibc and musl at the end of a line, and no others', () => {
    const cases: [string, string | undefined][] = [
      ['device-mapper: message ioctl on pool  failed: File exists', 'EEXIST'],
      ['device-mapper: message ioctl on pool  failed: No data available', 'ENODATA'],
      ['device-mapper: remove ioctl on x  failed: Device or resource busy', 'EBUSY'],
      ['device-mapper: remove ioctl on x  failed: Resource busy', 'EBUSY'],
      ['device-mapper: remove ioctl on x  failed: No such device or address', 'ENXIO'],
      ['device-mapper: reload ioctl on x  failed: No such device', 'ENODEV'],
      ['device-mapper: message ioctl on pool  failed: Operation not supported', 'EOPNOTSUPP'],
      ['Permission denied', 'EACCES'],
      ['Device Invalid argument exists', undefined],
      ['Command failed.', undefined],
      ['', undefined],
    ];
    for (const [line, errno] of cases) assert.equal(errnoFromWords(line), errno, line);
  });
});

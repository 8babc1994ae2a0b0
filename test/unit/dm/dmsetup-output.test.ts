import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { dmName } from '../../../src/base/units.ts';
import {
  parseInfo,
  parseLines,
  parseNames,
  parseTargets,
  parseVersions,
} from '../../../src/dm/dmsetup-output.ts';

const NAME = dmName('pool');

function refuses(parse: () => unknown): void {
  assert.throws(parse, (error) => error instanceof DmthinError && error.code === 'internal');
}

const INFO = `Name:              pool
State:             SUSPENDED (READ-ONLY) (DEFERRED REMOVE)
Read Ahead:        256
Tables present:    LIVE & INACTIVE
Open count:        3
Event number:      7
Major, minor:      254, 300
Number of targets: 1
UUID: DMTHIN-a: b

`;

describe('dmsetup info', () => {
  it('is read in full', () => {
    assert.deepEqual(parseInfo(NAME, INFO), {
      name: 'pool',
      uuid: 'DMTHIN-a: b',
      major: 254,
      minor: 300,
      openCount: 3,
      eventNr: 7,
      suspended: true,
      readOnly: true,
      live: true,
      inactive: true,
      deferredRemove: true,
    });
  });

  it('tells each flag by itself', () => {
    const read = (state: string, tables: string) => {
      const text = INFO.replace(/^State:.*$/m, `State: ${state}`)
        .replace(/^Tables present:.*$/m, `Tables present: ${tables}`)
        .replace(/^UUID.*\n/m, '');
      const { suspended, readOnly, deferredRemove, live, inactive, uuid } = parseInfo(NAME, text);
      assert.equal(uuid, '');
      return [suspended, readOnly, deferredRemove, live, inactive];
    };
    assert.deepEqual(read('ACTIVE', 'None'), [false, false, false, false, false]);
    assert.deepEqual(read('ACTIVE (DEFERRED REMOVE)', 'LIVE'), [false, false, true, true, false]);
    assert.deepEqual(read('ACTIVE (READ-ONLY)', 'INACTIVE'), [false, true, false, false, true]);
  });

  it('is refused when it is about something else', () => {
    refuses(() => parseInfo(dmName('other'), INFO));
    refuses(() => parseInfo(NAME, ''));
    refuses(() => parseInfo(NAME, INFO.replace('SUSPENDED', 'SLEEPING')));
    refuses(() => parseInfo(NAME, INFO.replace('Open count:        3', 'Open count: many')));
    refuses(() => parseInfo(NAME, INFO.replace('254, 300', '254:300')));
  });
});

describe('dmsetup lists', () => {
  it('devices, without those whose names dmthin would not use', () => {
    assert.deepEqual(parseNames('a|254|0\nb.c:d|254|12\nwith\\x20space|254|1\n'), [
      { name: 'a', major: 254, minor: 0 },
      { name: 'b.c:d', major: 254, minor: 12 },
    ]);
    assert.deepEqual(parseNames('No devices found\n'), []);
    refuses(() => parseNames('a|254\n'));
    refuses(() => parseNames('a|x|y\n'));
  });

  it('targets', () => {
    assert.deepEqual(parseTargets('thin-pool        v1.22.0\nerror            v1.5.0\n'), [
      { name: 'thin-pool', version: [1, 22, 0] },
      { name: 'error', version: [1, 5, 0] },
    ]);
    refuses(() => parseTargets('thin-pool\n'));
    refuses(() => parseTargets('thin-pool v1.2.3 new\n'));
  });

  it('versions, the driver only when the kernel has one', () => {
    const library = 'Library version:   1.02.185 (2022-05-18)\n';
    assert.deepEqual(parseVersions(`${library}Driver version:    4.47.0\n`), {
      library: [1, 2, 185],
      driver: [4, 47, 0],
    });
    assert.deepEqual(parseVersions(library), { library: [1, 2, 185], driver: undefined });
    refuses(() => parseVersions('BusyBox'));
  });
});

describe('dmsetup lines', () => {
  it('are read with and without parameters', () => {
    assert.deepEqual(parseLines('table', NAME, '0 8 error \n8 16 linear 7:0 0\n'), [
      { start: 0, length: 8, target: 'error', params: '' },
      { start: 8, length: 16, target: 'linear', params: '7:0 0' },
    ]);
    assert.deepEqual(parseLines('table', NAME, ''), []);
  });

  it('are refused when they are no lines', () => {
    refuses(() => parseLines('table', NAME, 'pool: 0 8 error'));
  });
});

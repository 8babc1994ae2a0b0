import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { deviceId, dmName, sectors } from '../../../src/base/units.ts';
import type { DmLine } from '../../../src/dm/client.ts';
import { parsePoolStatus, parseThinStatus } from '../../../src/dm/status.ts';
import {
  linearTable,
  parsePoolTable,
  parseThinTable,
  type PoolTable,
  poolTable,
  thinTable,
} from '../../../src/dm/tables.ts';

const NAME = dmName('subject');
const line = (target: string, params: string): DmLine[] => [
  { start: sectors(0), length: sectors(2048), target, params },
];
const pool = (params: string) => parsePoolStatus(NAME, line('thin-pool', params));
const thin = (params: string) => parseThinStatus(NAME, line('thin', params));

/** Asserts that the text is refused and that the error shows it. */
function refuses(parse: () => unknown, text: string): void {
  assert.throws(parse, (error) => {
    assert.ok(error instanceof DmthinError);
    assert.equal(error.code, 'internal');
    assert.equal(error.detail.device, NAME);
    assert.ok(error.message.includes(text), error.message);
    return true;
  });
}

describe('pool status', () => {
  it('is read in full', () => {
    const params =
      '18446744073709551615 161/4161600 1023/1048576 77 rw discard_passdown queue_if_no_space - 1024';
    assert.deepEqual(pool(params), {
      kind: 'ok',
      transactionId: 18_446_744_073_709_551_615n,
      usedMetadataBlocks: 161,
      totalMetadataBlocks: 4_161_600,
      usedDataBlocks: 1023,
      totalDataBlocks: 1_048_576,
      heldRoot: 77,
      mode: 'rw',
      discard: 'passdown',
      whenFull: 'queue',
      needsCheck: false,
      metadataLowWaterBlocks: 1024,
      raw: `0 2048 thin-pool ${params}`,
    });
  });

  it('tells every mode and policy apart', () => {
    const status = (policies: string) => {
      const parsed = pool(`1 1/2 3/4 - ${policies} 9`);
      assert.ok(parsed.kind === 'ok');
      assert.equal(parsed.heldRoot, undefined);
      return [parsed.mode, parsed.discard, parsed.whenFull, parsed.needsCheck];
    };
    assert.deepEqual(status('ro no_discard_passdown error_if_no_space needs_check'), [
      'ro',
      'no_passdown',
      'error',
      true,
    ]);
    assert.deepEqual(status('out_of_data_space ignore_discard queue_if_no_space -'), [
      'out_of_data_space',
      'ignore',
      'queue',
      false,
    ]);
  });

  it('is read where an old kernel ends early', () => {
    const status = (policies: string) => {
      const parsed = pool(`1 1/2 3/4 - ${policies}`);
      assert.ok(parsed.kind === 'ok');
      return [parsed.whenFull, parsed.needsCheck, parsed.metadataLowWaterBlocks];
    };
    assert.deepEqual(status('rw discard_passdown'), ['queue', false, undefined]);
    assert.deepEqual(status('rw discard_passdown error_if_no_space'), ['error', false, undefined]);
    assert.deepEqual(status('rw discard_passdown error_if_no_space needs_check'), ['error', true, undefined]);
  });

  it('tells a failed pool from one that cannot tell', () => {
    assert.deepEqual(pool('Fail'), { kind: 'fail', raw: '0 2048 thin-pool Fail' });
    assert.deepEqual(pool('Error'), { kind: 'error', raw: '0 2048 thin-pool Error' });
  });

  it('refuses what it does not know, and shows it', () => {
    for (const params of [
      '',
      'Failure',
      '-1 1/2 3/4 - rw discard_passdown queue_if_no_space - 1024',
      '1 1 3/4 - rw discard_passdown queue_if_no_space - 1024',
      '1 1/2/3 3/4 - rw discard_passdown queue_if_no_space - 1024',
      '1 1/2 3/99999999999999999999 - rw discard_passdown queue_if_no_space - 1024',
      '1 1/2 3/4 x rw discard_passdown queue_if_no_space - 1024',
      '1 1/2 3/4 -',
      '1 1/2 3/4 - wr discard_passdown queue_if_no_space - 1024',
      '1 1/2 3/4 - rw discards queue_if_no_space - 1024',
      '1 1/2 3/4 - rw discard_passdown wait_if_no_space - 1024',
      '1 1/2 3/4 - rw discard_passdown queue_if_no_space checked 1024',
      '1 1/2 3/4 - rw discard_passdown queue_if_no_space - low',
      '1 1/2 3/4 - rw discard_passdown queue_if_no_space - 1024 more',
    ]) {
      refuses(() => pool(params), `thin-pool ${params}`.trimEnd());
    }
  });

  it('of another kind of device is a failed precondition', () => {
    for (const lines of [
      line('linear', '7:0 0'),
      [],
      [...line('thin-pool', 'Fail'), ...line('thin-pool', 'Fail')],
    ]) {
      assert.throws(
        () => parsePoolStatus(NAME, lines),
        (error) => error instanceof DmthinError && error.code === 'failed_precondition',
      );
    }
  });
});

describe('thin status', () => {
  it('is read in full', () => {
    assert.deepEqual(thin('4096 20479'), {
      kind: 'ok',
      mappedSectors: 4096,
      highestMappedSector: 20_479,
      raw: '0 2048 thin 4096 20479',
    });
    assert.deepEqual(thin('0 -'), {
      kind: 'ok',
      mappedSectors: 0,
      highestMappedSector: undefined,
      raw: '0 2048 thin 0 -',
    });
  });

  it('tells a failed device', () => {
    assert.equal(thin('Fail').kind, 'fail');
    assert.equal(thin('-').kind, 'fail');
    assert.equal(thin('Error').kind, 'error');
  });

  it('refuses what it does not know, and shows it', () => {
    for (const params of ['', '12', 'x -', '12 x', '12 13 14']) {
      refuses(() => thin(params), `thin ${params}`.trimEnd());
    }
  });
});

describe('tables', () => {
  const POOL: PoolTable = {
    length: sectors(2048),
    metadataDevice: '/dev/loop0',
    dataDevice: '/dev/loop1',
    blockSectors: sectors(128),
    lowWaterBlocks: 32,
    features: ['skip_block_zeroing', 'error_if_no_space'],
  };

  it('of a pool survive the way there and back', () => {
    const built = poolTable(POOL);
    assert.equal(built.params, '/dev/loop0 /dev/loop1 128 32 2 skip_block_zeroing error_if_no_space');
    assert.deepEqual(parsePoolTable(NAME, [built]), POOL);
    const plain = { ...POOL, features: [] };
    assert.equal(poolTable(plain).params, '/dev/loop0 /dev/loop1 128 32 0');
    assert.deepEqual(parsePoolTable(NAME, [poolTable(plain)]), plain);
  });

  it('of a thin device survive the way there and back', () => {
    const table = { length: sectors(2048), poolDevice: '253:0', deviceId: deviceId(16_777_215) };
    assert.equal(thinTable(table).params, '253:0 16777215');
    assert.deepEqual(parseThinTable(NAME, [thinTable(table)]), table);
    const external = { ...table, externalOrigin: '7:3' };
    assert.deepEqual(parseThinTable(NAME, [thinTable(external)]), external);
  });

  it('of a piece of a device are built', () => {
    assert.deepEqual(linearTable(sectors(16), '/dev/loop0', sectors(8)), {
      start: 0,
      length: 16,
      target: 'linear',
      params: '/dev/loop0 8',
    });
    assert.equal(linearTable(sectors(16), '7:0').params, '7:0 0');
  });

  it('are refused with the whole line when a word is unknown', () => {
    for (const params of [
      '7:0',
      '7:0 7:1 128',
      '7:0 7:1 x 32 0',
      '7:0 7:1 128 32 1',
      '7:0 7:1 128 32 1 fly',
    ]) {
      refuses(() => parsePoolTable(NAME, line('thin-pool', params)), params);
    }
    for (const params of ['', '253:0', '253:0 16777216', '253:0 -1', '253:0 1 7:3 x']) {
      refuses(() => parseThinTable(NAME, line('thin', params)), params);
    }
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasCode } from '../../../src/base/errors.ts';
import { bytes, sectors } from '../../../src/base/units.ts';
import {
  checkBlockSize,
  checkMetadataSize,
  defaultMetadataBytes,
  lowWaterBlocks,
  MAX_METADATA_BYTES,
  poolLength,
} from '../../../src/pool/provision-geometry.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const refused = (error: unknown) => hasCode(error, 'invalid_argument');

describe('the block size', () => {
  for (const [size, blockSectors] of [
    [64 * KIB, 128],
    [192 * KIB, 384],
    [GIB, 2_097_152],
  ] as const) {
    it(`may be ${size} bytes`, () => assert.equal(checkBlockSize(bytes(size)), blockSectors));
  }
  for (const size of [32 * KIB, 65 * KIB, 96 * KIB, GIB + 64 * KIB, 1000]) {
    it(`may not be ${size} bytes`, () => assert.throws(() => checkBlockSize(bytes(size)), refused));
  }
});

describe('the metadata size', () => {
  for (const [dataSize, blockSectors, expected] of [
    [64 * MIB, 128, 68 * MIB],
    [20 * GIB, 128, 96 * MIB],
    [1024 * GIB, 128, 1600 * MIB],
    [1024 * GIB, 1024, 256 * MIB],
    [64 * 1024 * GIB, 128, MAX_METADATA_BYTES],
  ] as const) {
    it(`is ${expected} bytes for ${dataSize} in blocks of ${blockSectors} sectors`, () => {
      assert.equal(defaultMetadataBytes(bytes(dataSize), sectors(blockSectors)), expected);
    });
  }

  it('has the bounds of the kernel', () => {
    for (const size of [2 * MIB, 16 * MIB, MAX_METADATA_BYTES])
      assert.equal(checkMetadataSize(bytes(size)), size);
    for (const size of [2 * MIB - 4096, 2 * MIB + 512, MAX_METADATA_BYTES + 4096]) {
      assert.throws(() => checkMetadataSize(bytes(size)), refused);
    }
  });
});

describe('the pool', () => {
  it('has whole blocks', () => {
    assert.equal(poolLength(bytes(10 * 64 * KIB + 512), sectors(128)), 1280);
    assert.throws(() => poolLength(bytes(64 * KIB - 1), sectors(128)), refused);
  });

  it('warns at a twentieth, and with few blocks at one', () => {
    assert.equal(lowWaterBlocks(sectors(128 * 1000), sectors(128)), 50);
    assert.equal(lowWaterBlocks(sectors(128), sectors(128)), 1);
  });
});

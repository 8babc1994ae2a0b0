import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { dmName, sectors } from '../../../src/base/units.ts';
import * as codec from '../../../src/dm/ioctl-codec.ts';

const NAME = dmName('n'.repeat(127));

/** An answer: a header with `fields` set, then `payload`. */
function answer(payload: Buffer, set: (header: Buffer) => void = () => undefined): Buffer {
  const buffer = codec.encodeRequest({}, payload.length);
  payload.copy(buffer, 312);
  set(buffer);
  return buffer;
}

describe('a request', () => {
  it('lays every field where the kernel looks for it', () => {
    const payload = Buffer.from('payload!');
    const buffer = codec.encodeRequest({
      name: NAME,
      uuid: 'u'.repeat(128),
      flags: 0x2_0001,
      eventNr: 0x004e_0000,
      targetCount: 3,
      payload,
    });
    assert.equal(buffer.length, 320);
    assert.deepEqual(
      [0, 4, 8].map((at) => buffer.readUInt32LE(at)),
      [4, 0, 0],
    );
    assert.deepEqual(
      [12, 16, 20, 24, 28, 32, 36].map((at) => buffer.readUInt32LE(at)),
      [320, 312, 3, 0, 0x2_0001, 0x004e_0000, 0],
    );
    assert.equal(buffer.readBigUInt64LE(40), 0n);
    assert.equal(buffer.toString('latin1', 48, 176), `${NAME}\0`);
    assert.equal(buffer.toString('latin1', 176, 305), `${'u'.repeat(128)}\0`);
    assert.equal(buffer.toString('latin1', 312), 'payload!');
  });

  it('has room for the answer', () => {
    assert.equal(codec.encodeRequest({}, 16_384).length, 312 + 16_384);
    assert.equal(codec.encodeRequest({ payload: Buffer.alloc(100) }, 8).length, 412);
  });

  it('refuses a uuid that does not fit', () => {
    for (const uuid of ['u'.repeat(129), 'ü'.repeat(65), 'a\0b']) {
      assert.throws(
        () => codec.encodeRequest({ uuid }),
        (error) => error instanceof DmthinError && error.code === 'invalid_argument',
      );
    }
  });

  it('carries a table whose specs are 8-aligned and lead to each other', () => {
    const payload = codec.encodeTable([
      { start: sectors(0), length: sectors(2 ** 40), target: 'linear', params: '7:0 0' },
      { start: sectors(2 ** 40), length: sectors(8), target: 'error', params: '' },
    ]);
    assert.equal(payload.length, 48 + 48);
    assert.equal(payload.readBigUInt64LE(0), 0n);
    assert.equal(payload.readBigUInt64LE(8), 2n ** 40n);
    assert.equal(payload.readUInt32LE(20), 48);
    assert.equal(payload.toString('latin1', 24, 48), `linear${'\0'.repeat(10)}7:0 0\0\0\0`);
    assert.equal(payload.readBigUInt64LE(48), 2n ** 40n);
    assert.equal(payload.readUInt32LE(68), 48);
    assert.equal(payload.toString('latin1', 72, 96), `error${'\0'.repeat(19)}`);
  });

  it('keeps the zero byte of parameters that fill their eight bytes', () => {
    const payload = codec.encodeTable([
      { start: sectors(0), length: sectors(8), target: 'linear', params: '12345678' },
    ]);
    assert.equal(payload.length, 56);
    assert.equal(payload.toString('latin1', 40), '12345678\0\0\0\0\0\0\0\0');
  });

  it('carries a message to sector 0', () => {
    assert.equal(codec.encodeMessage('delete 1').toString('latin1'), `${'\0'.repeat(8)}delete 1\0`);
  });
});

describe('an answer', () => {
  it('tells a device', () => {
    const buffer = codec.encodeRequest({ name: NAME, uuid: 'DMTHIN-1' });
    buffer.writeInt32LE(2, 24);
    buffer.writeUInt32LE((1 << 0) | (1 << 1) | (1 << 5) | (1 << 6) | (1 << 17), 28);
    buffer.writeUInt32LE(9, 32);
    // 253:4660 in huge encoding.
    buffer.writeBigUInt64LE(0x0010_fd34n | (0x2n << 20n), 40);
    assert.deepEqual(codec.decodeInfo(buffer), {
      name: NAME,
      uuid: 'DMTHIN-1',
      major: 253,
      minor: 0x334,
      openCount: 2,
      eventNr: 9,
      suspended: true,
      readOnly: true,
      live: true,
      inactive: true,
      deferredRemove: true,
    });
    buffer.writeUInt32LE(0, 28);
    const plain = codec.decodeInfo(buffer);
    assert.deepEqual(
      [plain.suspended, plain.readOnly, plain.live, plain.inactive, plain.deferredRemove],
      [false, false, false, false, false],
    );
  });

  it('has device numbers up to 20 bits of minor', () => {
    assert.deepEqual(codec.decodeDev(0xfd00n), { major: 253, minor: 0 });
    assert.deepEqual(codec.decodeDev(0xfdffn), { major: 253, minor: 255 });
    assert.deepEqual(codec.decodeDev(0x10_fd00n), { major: 253, minor: 256 });
    assert.deepEqual(codec.decodeDev(0xffff_ffffn), { major: 0xfff, minor: 0xf_ffff });
  });

  it('tells lines, each found from the first', () => {
    const first = codec.encodeTable([
      { start: sectors(0), length: sectors(8), target: 'thin-pool', params: '1 2/3 ' },
    ]);
    const second = codec.encodeTable([
      { start: sectors(8), length: sectors(8), target: 'error', params: '' },
    ]);
    first.writeUInt32LE(first.length, 20);
    second.writeUInt32LE(first.length + second.length, 20);
    const buffer = answer(Buffer.concat([first, second]), (header) => header.writeUInt32LE(2, 20));
    assert.deepEqual(codec.decodeLines(buffer), [
      { start: 0, length: 8, target: 'thin-pool', params: '1 2/3' },
      { start: 8, length: 8, target: 'error', params: '' },
    ]);
    assert.deepEqual(codec.decodeLines(answer(Buffer.alloc(0))), []);
  });

  it('tells names, each found from the one before, and skips foreign ones', () => {
    const entry = (dev: bigint, name: string, last: boolean): Buffer => {
      const bytes = Buffer.alloc(48);
      bytes.writeBigUInt64LE(dev, 0);
      bytes.writeUInt32LE(last ? 0 : 48, 8);
      bytes.write(`${name}\0`, 12);
      return bytes;
    };
    const list = Buffer.concat([
      entry(0xfd00n, 'first', false),
      entry(0xfd01n, 'not ours', false),
      entry(0xfd02n, 'last', true),
    ]);
    assert.deepEqual(codec.decodeNames(answer(list)), [
      { name: 'first', major: 253, minor: 0 },
      { name: 'last', major: 253, minor: 2 },
    ]);
    assert.deepEqual(codec.decodeNames(answer(Buffer.alloc(16))), []);
  });

  it('tells targets and their versions', () => {
    const entry = (name: string, version: number, last: boolean): Buffer => {
      const bytes = Buffer.alloc(32);
      bytes.writeUInt32LE(last ? 0 : 32, 0);
      [1, version, 3].forEach((part, index) => bytes.writeUInt32LE(part, 4 + 4 * index));
      bytes.write(`${name}\0`, 16);
      return bytes;
    };
    const list = Buffer.concat([entry('thin-pool', 22, false), entry('thin', 23, true)]);
    assert.deepEqual(codec.decodeTargets(answer(list)), [
      { name: 'thin-pool', version: [1, 22, 3] },
      { name: 'thin', version: [1, 23, 3] },
    ]);
  });

  it('tells the version and what a target said', () => {
    const buffer = answer(Buffer.from('said\0rest'), (header) => header.writeUInt32LE(47, 4));
    assert.deepEqual(codec.decodeVersion(buffer), [4, 47, 0]);
    assert.equal(codec.decodeText(buffer), 'said');
  });
});

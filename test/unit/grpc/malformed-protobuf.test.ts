/** Requests that are no protobuf, or another: always a clean status, and the server serves on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  assertServes,
  bytesField,
  frame,
  mapField,
  METHODS,
  numberField,
  openRaw,
  type RawAnswer,
  varint,
} from './raw.ts';
import { startTestServer } from './support.ts';

const OK = 0;
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const FAILED_PRECONDITION = 9;

/** What a request that happens to decode may be answered with. */
const CLEAN = [OK, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION];

type Method = (typeof METHODS)[number];

const INFO = Buffer.concat([
  bytesField(1, 'snapshot'),
  bytesField(2, 'parent'),
  numberField(3, 2),
  bytesField(4, Buffer.concat([numberField(1, 1_700_000_000), numberField(2, 5)])),
  mapField(6, 'label', 'value'),
]);

/** A request with every field of its method. */
const VALID = {
  Prepare: [bytesField(1, 's'), bytesField(2, 'key'), bytesField(3, 'parent'), mapField(4, 'label', 'value')],
  View: [bytesField(1, 's'), bytesField(2, 'key'), bytesField(3, 'parent'), mapField(4, 'label', 'value')],
  Mounts: [bytesField(1, 's'), bytesField(2, 'a longer key')],
  Commit: [
    bytesField(1, 's'),
    bytesField(2, 'name'),
    bytesField(3, 'key'),
    mapField(4, 'l', 'v'),
    bytesField(5, 'p'),
  ],
  Remove: [bytesField(1, 's'), bytesField(2, 'a longer key')],
  Stat: [bytesField(1, 's'), bytesField(2, 'a longer key')],
  Update: [bytesField(1, 's'), bytesField(2, INFO), bytesField(3, bytesField(1, 'labels.label'))],
  Usage: [bytesField(1, 's'), bytesField(2, 'a longer key')],
  Cleanup: [bytesField(1, 'a longer name')],
  List: [bytesField(1, 's'), bytesField(2, 'name==x'), bytesField(2, 'labels."a.b"~=/c+/')],
} as const satisfies Record<Method, readonly Buffer[]>;

/** A small generator of the same numbers every time (xorshift32). */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function assertClean(answer: RawAnswer, what: string): void {
  assert.equal(answer.resetCode, 0, `${what}: the stream was reset`);
  assert.ok(
    answer.grpcStatus !== undefined && CLEAN.includes(answer.grpcStatus),
    `${what}: status ${answer.grpcStatus} ${answer.message}`,
  );
}

describe('malformed protobuf', () => {
  for (const method of METHODS) {
    it(`${method}: cut after every byte`, async (t) => {
      const { path } = await startTestServer(t);
      const raw = await openRaw(t, path);
      const fields: readonly Buffer[] = VALID[method];
      const whole = Buffer.concat(fields);
      const boundaries = new Set<number>([0]);
      fields.reduce((at, field) => (boundaries.add(at + field.byteLength), at + field.byteLength), 0);
      for (let length = 0; length <= whole.byteLength; length += 1) {
        const answer = await raw.call({ method, body: frame(whole.subarray(0, length)) });
        assertClean(answer, `${length} bytes`);
        if (!boundaries.has(length)) {
          assert.equal(answer.grpcStatus, INVALID_ARGUMENT, `${length} bytes`);
          assert.match(
            answer.message,
            new RegExp(`^${method}: the ${length} bytes received are no valid containerd`),
          );
        }
      }
      await assertServes(raw);
    });

    it(`${method}: bytes changed, inserted, removed, and at random`, async (t) => {
      const { path } = await startTestServer(t);
      const raw = await openRaw(t, path);
      const random = createRandom(0x5eed + method.length);
      const whole = Buffer.concat(VALID[method]);
      for (let round = 0; round < 60; round += 1) {
        const body =
          round % 2 === 0
            ? Buffer.from(Array.from({ length: random(200) }, () => random(256)))
            : Buffer.from(whole);
        for (let change = 0; round % 2 === 1 && change <= random(4); change += 1) {
          body[random(body.byteLength)] = random(256);
        }
        assertClean(await raw.call({ method, body: frame(body) }), `${method} ${body.toString('hex')}`);
      }
      await assertServes(raw);
    });
  }

  const STAT: readonly (readonly [what: string, body: Buffer])[] = [
    ['a string that is not UTF-8', bytesField(2, Buffer.of(0xff, 0xfe))],
    ['an overlong UTF-8 sequence', bytesField(2, Buffer.of(0xc0, 0x80))],
    ['half a surrogate pair', bytesField(2, Buffer.of(0xed, 0xa0, 0x80))],
    ['a length past the end', Buffer.concat([varint((2 << 3) | 2), varint(1000)])],
    ['a length of 2^64 - 1', Buffer.concat([varint((2 << 3) | 2), varint(-1)])],
    ['a varint without end', Buffer.alloc(100, 0xff)],
    ['field number 0', Buffer.of(0x02, 0x00)],
    ['a wire type that is not', Buffer.of((2 << 3) | 7, 0x00)],
    ['a group without end', Buffer.of((50 << 3) | 3, 3)],
    ['groups nested very deep', Buffer.alloc(1_000_000, (9 << 3) | 3)],
  ];
  for (const [what, body] of STAT) {
    it(`${what} is INVALID_ARGUMENT`, async (t) => {
      const { path, fake } = await startTestServer(t);
      const raw = await openRaw(t, path);
      const answer = await raw.call({ method: 'Stat', body: frame(body) });
      assert.equal(answer.grpcStatus, INVALID_ARGUMENT);
      assert.match(answer.message, /^Stat: the \d+ bytes received are no valid containerd/);
      assert.equal(fake.calls.length, 0);
      await assertServes(raw);
    });
  }
});

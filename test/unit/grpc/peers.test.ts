/** Peers that break the rules of gRPC and HTTP/2, and what grpc-go sends: a clean status, and the server serves on. */
import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { MAX_MESSAGE_BYTES } from '../../../src/grpc/limits.ts';
import { assertServes, bytesField, frame, mapField, openRaw, type RawClient, SERVICE } from './raw.ts';
import { startTestServer } from './support.ts';

const OK = 0;
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;

describe('malformed gRPC', () => {
  const body = frame(bytesField(2, 'key'));
  const cases: readonly (readonly [
    what: string,
    request: Parameters<RawClient['call']>[0],
    statuses: number[],
  ])[] = [
    ['no message at all', {}, [UNIMPLEMENTED, INTERNAL]],
    ['half a frame header', { body: body.subarray(0, 3) }, [UNIMPLEMENTED, INTERNAL]],
    [
      'less than the frame announces',
      { body: frame(Buffer.from('x'), { length: 100 }) },
      [UNIMPLEMENTED, INTERNAL],
    ],
    ['a frame of 4 GiB', { body: frame(Buffer.alloc(0), { length: 0xffff_ffff }) }, [RESOURCE_EXHAUSTED]],
    ['two messages', { body: Buffer.concat([body, body]) }, [UNIMPLEMENTED, INTERNAL, NOT_FOUND]],
    [
      'an unknown compression',
      { body: frame(Buffer.from('x'), { compressed: 1 }), headers: { 'grpc-encoding': 'snappy' } },
      [UNIMPLEMENTED],
    ],
    [
      'broken gzip',
      { body: frame(Buffer.from('not gzip'), { compressed: 1 }), headers: { 'grpc-encoding': 'gzip' } },
      [INTERNAL],
    ],
    [
      'gzip that unpacks to more than the limit',
      {
        body: frame(gzipSync(Buffer.alloc(MAX_MESSAGE_BYTES + 1)), { compressed: 1 }),
        headers: { 'grpc-encoding': 'gzip' },
      },
      [RESOURCE_EXHAUSTED],
    ],
    ['a timeout that is none', { body, headers: { 'grpc-timeout': 'soon' } }, [INTERNAL, INVALID_ARGUMENT]],
    ['an unknown method', { body, path: `${SERVICE}/Rebase` }, [UNIMPLEMENTED]],
    ['an unknown service', { body, path: '/grpc.health.v1.Health/Check' }, [UNIMPLEMENTED]],
    ['a method in another case', { body, path: `${SERVICE}/stat` }, [UNIMPLEMENTED]],
    ['an odd path', { body, path: '/%0a%00/../\'"quoted"<&>' }, [UNIMPLEMENTED]],
    ['a path without end', { body, path: `/${'x'.repeat(10_000)}` }, [UNIMPLEMENTED]],
  ];
  for (const [what, request, statuses] of cases) {
    it(what, async (t) => {
      const { path } = await startTestServer(t);
      const raw = await openRaw(t, path);
      const answer = await raw.call({ method: 'Stat', ...request });
      assert.ok(
        answer.grpcStatus !== undefined && statuses.includes(answer.grpcStatus),
        `${answer.grpcStatus}: ${answer.message}`,
      );
      await assertServes(raw);
    });
  }

  it('a request that is not gRPC is 415', async (t) => {
    const { path } = await startTestServer(t);
    const raw = await openRaw(t, path);
    for (const headers of [{ 'content-type': 'text/html' }, { ':method': 'GET', 'content-type': 'x' }]) {
      assert.equal((await raw.call({ headers, body })).httpStatus, 415);
    }
    await assertServes(raw);
  });

  it('a request that breaks off is forgotten', async (t) => {
    const { path, fake } = await startTestServer(t);
    const raw = await openRaw(t, path);
    for (let round = 0; round < 20; round += 1) {
      const stream = raw.session.request({
        ':method': 'POST',
        ':path': `${SERVICE}/Stat`,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => undefined);
      stream.write(body.subarray(0, 4));
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await assertServes(raw);
    assert.deepEqual(
      fake.calls.map(({ op }) => op),
      ['Cleanup'],
    );
  });

  it('a connection that does not speak HTTP/2 harms no other', async (t) => {
    const { path } = await startTestServer(t);
    const raw = await openRaw(t, path);
    for (const nonsense of [
      'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
      '\0'.repeat(1000),
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxx',
    ]) {
      const socket = connectSocket({ path });
      socket.on('error', () => undefined);
      socket.resume();
      socket.end(nonsense);
      await new Promise((resolve) => socket.once('close', resolve));
    }
    await assertServes(raw);
  });

  it('messages of 16 MiB are taken, larger ones refused', async (t) => {
    const { path } = await startTestServer(t);
    const raw = await openRaw(t, path);
    const overhead = bytesField(1, Buffer.alloc(MAX_MESSAGE_BYTES)).byteLength - MAX_MESSAGE_BYTES;
    const largest = bytesField(1, Buffer.alloc(MAX_MESSAGE_BYTES - overhead, 'x'));
    assert.equal(largest.byteLength, MAX_MESSAGE_BYTES);
    const taken = await raw.call({ method: 'Cleanup', body: frame(largest) });
    assert.equal(taken.grpcStatus, OK, taken.message);
    const refused = await raw.call({
      method: 'Cleanup',
      body: frame(bytesField(1, Buffer.alloc(MAX_MESSAGE_BYTES - overhead + 1, 'x'))),
    });
    assert.equal(refused.grpcStatus, RESOURCE_EXHAUSTED, refused.message);
    await assertServes(raw);
  });

  it('many labels in one request are taken', async (t) => {
    const { path, fake } = await startTestServer(t);
    const raw = await openRaw(t, path);
    const labels = Array.from({ length: 3000 }, (_, index) =>
      mapField(4, `label-${index}`, 'v'.repeat(4000)),
    );
    const answer = await raw.call({
      method: 'Prepare',
      body: frame(Buffer.concat([bytesField(2, 'key'), ...labels])),
    });
    assert.equal(answer.grpcStatus, OK);
    assert.equal(Object.keys((await fake.stat('key')).labels).length, 3000);
  });
});

describe('malformed HTTP/2', () => {
  for (const headers of [{ ':authority': 'a b' }, { ':authority': '/run/x.sock' }, { ':authority': '' }]) {
    it(`${JSON.stringify(headers)} resets that stream and no other`, async (t) => {
      const { path } = await startTestServer(t);
      const raw = await openRaw(t, path);
      const answer = await raw.call({ headers, body: frame(Buffer.alloc(0)) });
      assert.equal(answer.resetCode, constants.NGHTTP2_PROTOCOL_ERROR);
      await assertServes(raw);
    });
  }
});

describe('what grpc-go sends', () => {
  for (const authority of [
    'localhost',
    '%2Frun%2Fdmthin%2Fdmthin.sock',
    'unix%3A%2F%2Fx',
    '_',
    '[::1]:1',
    'x'.repeat(2000),
  ]) {
    it(`:authority ${JSON.stringify(authority.slice(0, 50))} is accepted`, async (t) => {
      const { path } = await startTestServer(t);
      const raw = await openRaw(t, path);
      const answer = await raw.call({
        method: 'Cleanup',
        headers: { ':authority': authority },
        body: frame(Buffer.alloc(0)),
      });
      assert.equal(answer.grpcStatus, OK);
    });
  }

  it('extra metadata is accepted, binary and large too', async (t) => {
    const { path } = await startTestServer(t);
    const raw = await openRaw(t, path);
    const answer = await raw.call({
      method: 'Cleanup',
      headers: {
        'containerd-namespace': 'k8s.io',
        'containerd-lease': 'lease "1"',
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        'user-agent': 'containerd grpc-go/1.59.0',
        'grpc-timeout': '99999999S',
        'grpc-accept-encoding': 'gzip',
        'x-bin': 'AAECAw',
        'broken-bin': '%%%',
        'x-large': 'x'.repeat(30_000),
        'x-many': Array.from({ length: 20 }, (_, index) => String(index)),
      },
      body: frame(Buffer.alloc(0)),
    });
    assert.equal(answer.grpcStatus, OK, answer.message);
    assert.equal(answer.headers['content-type'], 'application/grpc+proto');
  });

  it('compressed messages are accepted', async (t) => {
    const { path } = await startTestServer(t);
    const raw = await openRaw(t, path);
    const answer = await raw.call({
      method: 'Stat',
      headers: { 'grpc-encoding': 'gzip' },
      body: frame(gzipSync(bytesField(2, 'nobody')), { compressed: 1 }),
    });
    assert.deepEqual(
      [answer.grpcStatus, answer.message],
      [NOT_FOUND, 'Stat: snapshot "nobody" does not exist'],
    );
  });

  it('status texts arrive percent-encoded, line breaks and all', async (t) => {
    const { path } = await startTestServer(t);
    const raw = await openRaw(t, path);
    const answer = await raw.call({ method: 'Stat', body: frame(bytesField(2, '50% "ünï"\n\u{1f4be}')) });
    assert.match(String(answer.headers['grpc-message']), /^[\x21-\x7e]*50%25%20[\x21-\x7e]*$/);
    assert.equal(answer.message, 'Stat: snapshot "50% \\"ünï\\"\\n\u{1f4be}" does not exist');
  });

  it('many calls at once on one connection are served', async (t) => {
    const { path, fake } = await startTestServer(t);
    const raw = await openRaw(t, path);
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        raw.call({ method: 'Prepare', body: frame(bytesField(2, `key-${index}`)) }),
      ),
    );
    assert.ok(answers.every(({ grpcStatus }) => grpcStatus === OK));
    assert.equal(fake.calls.length, 500);
  });
});

/** gRPC by hand over HTTP/2: for what no well-behaved client sends, and for seeing the bytes that ours gets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect as connectSocket } from 'node:net';
import type { TestContext } from 'node:test';

export const SERVICE = '/containerd.services.snapshots.v1.Snapshots';

/** Unary methods first. */
export const METHODS = [
  'Prepare',
  'View',
  'Mounts',
  'Commit',
  'Remove',
  'Stat',
  'Update',
  'Usage',
  'Cleanup',
  'List',
] as const;

export interface RawAnswer {
  readonly httpStatus: number;
  readonly headers: IncomingHttpHeaders;
  /** As numbers travel, or undefined when the stream ended without. */
  readonly grpcStatus: number | undefined;
  /** Percent-decoded. */
  readonly message: string;
  readonly messages: readonly Buffer[];
  /** HTTP/2 code with which the stream was reset; 0: it was not. */
  readonly resetCode: number;
}

export interface RawRequest {
  /** Default: the service's path and `method`. */
  readonly path?: string;
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Written as it is; see {@link frame}. */
  readonly body?: Buffer;
  /** Default true: the request ends after the body. */
  readonly end?: boolean;
}

export interface RawClient {
  readonly session: ClientHttp2Session;
  readonly call: (request: RawRequest) => Promise<RawAnswer>;
}

export async function openRaw(t: TestContext, path: string): Promise<RawClient> {
  const session = connect('http://localhost', {
    createConnection: () => connectSocket({ path }),
    // In MB; the default resets streams that send large messages.
    maxSessionMemory: 1000,
  });
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  await once(session, 'connect');
  return { session, call: (request) => callRaw(session, request) };
}

/** The server is in good health. */
export async function assertServes({ call }: RawClient): Promise<void> {
  const answer = await call({ method: 'Cleanup', body: frame(Buffer.alloc(0)) });
  assert.deepEqual([answer.grpcStatus, answer.messages.length], [0, 1]);
}

/** One length-prefixed gRPC message. */
export function frame(body: Buffer, { compressed = 0, length = body.byteLength } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, body]);
}

function callRaw(session: ClientHttp2Session, request: RawRequest): Promise<RawAnswer> {
  const { method = 'Stat', path = `${SERVICE}/${method}`, headers = {}, body, end = true } = request;
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const chunks: Buffer[] = [];
    let first: IncomingHttpHeaders = {};
    let last: IncomingHttpHeaders = {};
    stream.on('response', (received) => (first = received));
    stream.on('trailers', (received: IncomingHttpHeaders) => (last = received));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () => {
      const status = last['grpc-status'] ?? first['grpc-status'];
      const message = last['grpc-message'] ?? first['grpc-message'];
      resolve({
        httpStatus: Number(first[':status'] ?? 0),
        headers: first,
        grpcStatus: status === undefined ? undefined : Number(status),
        message: decodeURIComponent(String(message ?? '')),
        messages: unframe(Buffer.concat(chunks)),
        resetCode: stream.rstCode,
      });
    });
    if (body !== undefined) stream.write(body);
    if (end) stream.end();
  });
}

function unframe(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.byteLength;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + 5, end));
    at = end;
  }
  return messages;
}

// Protobuf by hand, so that field numbers are checked against the contract and not against our own .proto.

export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  do {
    const more = left > 0x7fn;
    bytes.push(Number(left & 0x7fn) | (more ? 0x80 : 0));
    left >>= 7n;
  } while (left > 0n);
  return Buffer.from(bytes);
}

export function numberField(field: number, value: number | bigint): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

export function bytesField(field: number, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.byteLength), bytes]);
}

export function mapField(field: number, key: string, value: string): Buffer {
  return bytesField(field, Buffer.concat([bytesField(1, key), bytesField(2, value)]));
}

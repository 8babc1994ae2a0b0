/** List streams: page sizes, slow readers, readers that leave. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { decode } from '../../../src/grpc/codec.ts';
import { ListSnapshotsResponseSchema } from '../../../src/grpc/gen/containerd/services/snapshots/v1/snapshots_pb.ts';
import { MAX_MESSAGE_BYTES } from '../../../src/grpc/limits.ts';
import { encodePages } from '../../../src/grpc/pages.ts';
import type { SnapshotInfo } from '../../../src/snapshotter/snapshotter.ts';
import type { FakeSnapshotter } from '../../fakes/snapshotter.ts';
import { frame, openRaw, SERVICE } from './raw.ts';
import { collect, startTestServer, until } from './support.ts';

const COUNT = 1000;

async function fill(fake: FakeSnapshotter, labelBytes = 0): Promise<string[]> {
  const names = Array.from({ length: COUNT }, (_, index) => `ns/${index}/key`);
  for (const name of names) await fake.prepare(name, '', { l: 'v'.repeat(labelBytes) });
  return names;
}

describe('List', () => {
  it('streams 1,000 snapshots in order, at most 100 a message', async (t) => {
    const { fake, client: open } = await startTestServer(t);
    const names = await fill(fake);
    const client = await open();
    const pages: SnapshotInfo[][] = [];
    for await (const page of client.list()) pages.push(page);
    assert.deepEqual(
      pages.map((page) => page.length),
      Array.from({ length: 10 }, () => 100),
    );
    assert.deepEqual(
      pages.flat().map((info) => info.name),
      names,
    );
  });

  it('sends no message for no snapshot', async (t) => {
    const { path } = await startTestServer(t);
    const { call } = await openRaw(t, path);
    const answer = await call({ method: 'List', body: frame(Buffer.alloc(0)) });
    assert.deepEqual([answer.grpcStatus, answer.messages], [0, []]);
  });

  it('does not run ahead of a reader that has stopped reading, and goes on with it', async (t) => {
    const { path, fake } = await startTestServer(t);
    const names = await fill(fake, 4000);
    const { session } = await openRaw(t, path);
    const stream = session.request({
      ':method': 'POST',
      ':path': `${SERVICE}/List`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.end(frame(Buffer.alloc(0)));
    stream.pause();
    // A page has 400 KB and HTTP/2's window 64 KB: the first page cannot leave until the reader reads.
    await until(() => fake.listed.pages > 0);
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.equal(fake.listed.pages, 1);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.resume();
    await once(stream, 'end');
    assert.equal(fake.listed.pages, 10);
    const received = Buffer.concat(chunks);
    const listed: string[] = [];
    for (let at = 0; at < received.byteLength;) {
      const end = at + 5 + received.readUInt32BE(at + 1);
      const { info } = decode(ListSnapshotsResponseSchema, received.subarray(at + 5, end), 'List');
      listed.push(...info.map(({ name }) => name));
      at = end;
    }
    assert.deepEqual(listed, names);
  });

  it('stops when the reader leaves', async (t) => {
    const { fake, client: open, log } = await startTestServer(t);
    await fill(fake, 4000);
    const client = await open();
    for await (const page of client.list()) {
      assert.equal(page.length, 100);
      break;
    }
    await until(() => fake.listed.ended === 1);
    assert.ok(fake.listed.pages < 10);
    await until(() => log.some(({ facts }) => facts['op'] === 'List' && facts['code'] === 'cancelled'));
    assert.equal((await collect(client.list())).length, COUNT);
  });

  it('that fails half-way reports it after the pages it had', async (t) => {
    const { fake, client: open } = await startTestServer(t);
    const [first = ''] = await fill(fake);
    const info = await fake.stat(first);
    fake.list = async function* () {
      yield await Promise.resolve([info]);
      throw new Error('the store broke');
    };
    const client = await open();
    const names: string[] = [];
    await assert.rejects(async () => {
      for await (const page of client.list()) names.push(...page.map(({ name }) => name));
    }, /the store broke/);
    assert.deepEqual(names, [first]);
  });
});

describe('pages', () => {
  async function* once(page: readonly SnapshotInfo[]): AsyncGenerator<readonly SnapshotInfo[]> {
    yield await Promise.resolve(page);
  }

  function infos(count: number, labelBytes: number): SnapshotInfo[] {
    return Array.from({ length: count }, (_, index) => ({
      name: String(index),
      parent: '',
      kind: 'committed',
      createdAtMs: 0,
      updatedAtMs: 0,
      labels: { l: 'v'.repeat(labelBytes) },
    }));
  }

  async function namesOfPages(page: readonly SnapshotInfo[]): Promise<string[][]> {
    const names: string[][] = [];
    for await (const message of encodePages(once(page))) {
      assert.ok(message.byteLength <= MAX_MESSAGE_BYTES);
      const { info } = decode(ListSnapshotsResponseSchema, message, 'List');
      assert.ok(info.length <= 100);
      names.push(info.map(({ name }) => name));
    }
    return names;
  }

  it('longer than 100 are divided', async () => {
    const names = await namesOfPages(infos(250, 0));
    assert.deepEqual(
      names.flat(),
      infos(250, 0).map(({ name }) => name),
    );
  });

  it('larger than a message are divided', async () => {
    const names = await namesOfPages(infos(100, 300_000));
    assert.ok(names.length >= 2);
    assert.equal(names.flat().length, 100);
  });

  it('that are empty are left out', async () => {
    assert.deepEqual(await namesOfPages([]), []);
  });
});

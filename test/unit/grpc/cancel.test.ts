/** What a call's end, its caller's leaving and its deadline mean for the signal that the snapshotter sees. */
import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { describe, it } from 'node:test';
import { hasCode } from '../../../src/base/errors.ts';
import type { SnapshotsClient } from '../../../src/grpc/client.ts';
import type { FakeSnapshotter } from '../../fakes/snapshotter.ts';
import { bytesField, frame, openRaw, SERVICE } from './raw.ts';
import { startTestServer, until } from './support.ts';

/** Holds every call until its signal aborts, then fails as a well-behaved operation does. */
function holdUntilAborted(fake: FakeSnapshotter): void {
  fake.before = ({ signal }) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
}

const WITH_SIGNAL: readonly (readonly [op: string, call: (client: SnapshotsClient) => Promise<unknown>])[] = [
  ['Prepare', (client) => client.prepare('k', '')],
  ['View', (client) => client.view('k', '')],
  ['Mounts', (client) => client.mounts('k')],
  ['Commit', (client) => client.commit('n', 'k')],
  ['Remove', (client) => client.remove('k')],
  ['Usage', (client) => client.usage('k')],
  ['Cleanup', (client) => client.cleanup()],
];

describe('the signal of a call', () => {
  for (const [op, work] of WITH_SIGNAL) {
    it(`${op}: is aborted when the caller cancels`, async (t) => {
      const { fake, client: open, log } = await startTestServer(t);
      holdUntilAborted(fake);
      const controller = new AbortController();
      const client = await open({ signal: controller.signal });
      const refused = assert.rejects(work(client), (error) => hasCode(error, 'cancelled'));
      await until(() => fake.calls.length === 1);
      assert.equal(fake.calls[0]?.op, op);
      assert.equal(fake.calls[0].signal?.aborted, false);
      controller.abort();
      await refused;
      await until(() => log.some(({ facts }) => facts['op'] === op && facts['code'] === 'cancelled'));
      assert.ok(hasCode(fake.calls[0].signal.reason, 'cancelled'));
    });
  }

  it('is aborted when the deadline passes', async (t) => {
    const { fake, client: open, log } = await startTestServer(t);
    holdUntilAborted(fake);
    const client = await open({ deadlineMs: 50 });
    await assert.rejects(client.remove('k'), (error) => hasCode(error, 'deadline_exceeded'));
    await until(() => log.some(({ facts }) => facts['op'] === 'Remove'));
    assert.ok(
      hasCode(fake.calls[0]?.signal?.reason, 'deadline_exceeded', 'cancelled'),
      'the client may cancel at its own clock before the server looks at its own',
    );
  });

  it('is aborted when the server alone sees the deadline pass', async (t) => {
    const { fake, path } = await startTestServer(t);
    holdUntilAborted(fake);
    const { call } = await openRaw(t, path);
    const answer = await call({
      method: 'Cleanup',
      headers: { 'grpc-timeout': '50m' },
      body: frame(Buffer.alloc(0)),
    });
    assert.equal(answer.grpcStatus, 4);
    await until(() => fake.calls[0]?.signal?.aborted === true);
    assert.ok(hasCode(fake.calls[0]?.signal?.reason, 'deadline_exceeded'));
  });

  it('is aborted when the connection breaks', async (t) => {
    const { fake, path } = await startTestServer(t);
    holdUntilAborted(fake);
    const { session } = await openRaw(t, path);
    const stream = session.request({
      ':method': 'POST',
      ':path': `${SERVICE}/Cleanup`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    stream.end(frame(Buffer.alloc(0)));
    await until(() => fake.calls.length === 1);
    session.destroy();
    await until(() => fake.calls[0]?.signal?.aborted === true);
    assert.ok(hasCode(fake.calls[0]?.signal?.reason, 'cancelled'));
  });

  it('stays quiet when the call ends well or badly', async (t) => {
    const { fake, client: open } = await startTestServer(t);
    const client = await open();
    await client.prepare('k', '');
    await assert.rejects(client.remove('nobody'));
    await client.cleanup();
    await until(() => fake.calls.length === 3);
    assert.deepEqual(
      fake.calls.map(({ signal }) => signal?.aborted),
      [false, false, false],
    );
  });

  it('of one call is not that of another on the same connection', async (t) => {
    const { fake, path } = await startTestServer(t);
    holdUntilAborted(fake);
    const { session } = await openRaw(t, path);
    const streams = ['a', 'b'].map((key) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': `${SERVICE}/Usage`,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => undefined);
      stream.end(frame(bytesField(2, key)));
      return stream;
    });
    await until(() => fake.calls.length === 2);
    streams[0]?.close(constants.NGHTTP2_CANCEL);
    const signalOf = (key: string) => fake.calls.find(({ args }) => args[0] === key)?.signal;
    await until(() => signalOf('a')?.aborted === true);
    assert.equal(signalOf('b')?.aborted, false);
  });

  it('after an abort the server serves on', async (t) => {
    const { fake, client: open } = await startTestServer(t);
    holdUntilAborted(fake);
    const hasty = await open({ deadlineMs: 20 });
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => assert.rejects(hasty.prepare(`k${index}`, ''))),
    );
    fake.before = () => undefined;
    const client = await open();
    await client.prepare('fine', '');
    assert.equal((await client.stat('fine')).kind, 'active');
  });
});

describe('a client whose signal is aborted already', () => {
  it('makes no call', async (t) => {
    const { fake, client: open } = await startTestServer(t);
    const client = await open({ signal: AbortSignal.abort() });
    await assert.rejects(client.stat('k'), (error) => hasCode(error, 'cancelled'));
    await assert.rejects(
      async () => {
        for await (const page of client.list()) assert.fail(`a page of ${page.length}`);
      },
      (error) => hasCode(error, 'cancelled'),
    );
    assert.equal(fake.calls.length, 0);
  });
});

/** Stopping: what is waited for, for how long, and what callers see. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { describe, it } from 'node:test';
import { hasCode } from '../../../src/base/errors.ts';
import { connect } from '../../../src/grpc/client.ts';
import { createGate, startTestServer, until } from './support.ts';

const LONG_MS = 60_000;

describe('drain', () => {
  it('ends at once when nothing is under way, idle and mute connections or not', async (t) => {
    const { server, client: open, path } = await startTestServer(t);
    await (await open()).cleanup();
    const mute = connectSocket({ path });
    mute.on('error', () => undefined);
    await once(mute, 'connect');
    await server.drain(LONG_MS);
    await assert.rejects(stat(path), { code: 'ENOENT' });
    await assert.rejects(connect(path), (error) => hasCode(error, 'unavailable'));
  });

  it('waits for the calls in flight, and lets in no others', async (t) => {
    const { server, client: open, path, fake } = await startTestServer(t);
    const client = await open();
    await client.cleanup();
    const gate = createGate();
    fake.before = () => gate.opened;
    const prepared = client.prepare('k', '');
    await until(() => fake.calls.length === 2);
    let drained = false;
    const drain = server.drain(LONG_MS).then(() => (drained = true));
    await assert.rejects(connect(path), (error) => hasCode(error, 'unavailable'));
    await assert.rejects(client.usage('k'), (error) => hasCode(error, 'unavailable'));
    assert.equal(drained, false);
    gate.open();
    assert.equal((await prepared).length, 1);
    await drain;
    assert.deepEqual(
      fake.calls.map(({ op }) => op),
      ['Cleanup', 'Prepare'],
    );
  });

  it('waits for work whose caller has left', async (t) => {
    const { server, client: open, fake } = await startTestServer(t);
    const controller = new AbortController();
    const client = await open({ signal: controller.signal });
    const gate = createGate();
    fake.before = () => gate.opened;
    const refused = assert.rejects(client.prepare('k', ''));
    await until(() => fake.calls.length === 1);
    controller.abort();
    await refused;
    client.close();
    let drained = false;
    const drain = server.drain(LONG_MS).then(() => (drained = true));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.equal(drained, false);
    gate.open();
    await drain;
  });

  it('aborts at the deadline, and tells the callers why', async (t) => {
    const { server, client: open, fake, path } = await startTestServer(t);
    fake.before = ({ signal }) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    const client = await open();
    const refused = assert.rejects(
      client.remove('k'),
      (error) => hasCode(error, 'unavailable') && error.message.includes('the daemon is stopping'),
    );
    await until(() => fake.calls.length === 1);
    await server.drain(10);
    await refused;
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });

  it('ends even when work does not, cuts the connections, and says so in the log', async (t) => {
    const { server, client: open, fake, log } = await startTestServer(t);
    const gate = createGate();
    t.after(() => gate.open());
    fake.before = () => gate.opened;
    const client = await open();
    const refused = assert.rejects(client.remove('k'), (error) =>
      hasCode(error, 'unavailable', 'cancelled', 'internal'),
    );
    await until(() => fake.calls.length === 1);
    await server.drain(0);
    await refused;
    assert.partialDeepStrictEqual(
      log.filter(({ level }) => level === 'warn'),
      [{ facts: { calls: 1 } }, { facts: { calls: 1 }, message: 'calls did not end when aborted' }],
    );
  });

  it('asked for twice is the same drain', async (t) => {
    const { server } = await startTestServer(t);
    assert.equal(server.drain(LONG_MS), server.drain(0));
  });
});

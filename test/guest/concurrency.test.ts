/** Many callers at once, some of whom go away half-way, on the real kernel: see test/linearizability. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog, type Log } from '../../src/base/log.ts';
import { runProcess } from '../../src/base/process.ts';
import { connect } from '../../src/grpc/client.ts';
import { createListPoolDevices } from '../../src/pool/pool-devices.ts';
import { openStore } from '../../src/store/store.ts';
import { anyCall, assertExplained, createRecorder, seeded, stateOf } from '../linearizability/callers.ts';
import { listAll, targetOf } from '../linearizability/client-target.ts';
import type { Call, State } from '../linearizability/model.ts';
import { measureLeaks } from '../leak/leak.ts';
import { createNode, type TestNode } from './node.ts';

// Read when the daemon asks whether it may give a thread away; bin/dmthin sets it.
process.env['UV_THREADPOOL_SIZE'] = '16';

const KEYS = ['a', 'b', 'c', 'd', 'e'];

/** A log that remembers what a caller's leaving must never lead to. */
function watchLog(): { log: Log; readonly errors: readonly string[] } {
  const errors: string[] = [];
  return {
    log: {
      ...silentLog,
      error: (facts: object, message: string) => void errors.push(`${message} ${JSON.stringify(facts)}`),
    },
    errors,
  };
}

/** While no daemon runs: the pool has the devices that the store knows, and no others. */
async function assertDevices(node: TestNode): Promise<void> {
  const store = await openStore({ rootPath: node.config().rootPath });
  try {
    const records = [...store.allSnapshots()];
    assert.deepEqual(
      records.filter(({ state }) => state === 'creating').map(({ key }) => key),
      [],
      'nothing is left half-made',
    );
    const known = [...records, ...store.bases()].map(({ deviceId }) => deviceId);
    const list = createListPoolDevices({ ...node, run: runProcess });
    assert.deepEqual(
      (await list()).toSorted((a, b) => a - b),
      known.toSorted((a, b) => a - b),
    );
  } finally {
    await store.close();
  }
}

test('many callers on few keys: some order explains every answer', async () => {
  await using node = await createNode();
  const { log, errors } = watchLog();
  const recorder = createRecorder();
  {
    await using serving = await node.serve({}, { log });
    const random = seeded(1);
    await Promise.all(
      Array.from({ length: 6 }, async (_, caller) => {
        const client = await connect(serving.daemon.address);
        for (let round = 0; round < 60; round += 1)
          await recorder.ask(targetOf(client), anyCall(random, KEYS, `${caller}.${round}`));
        client.close();
      }),
    );
    await recorder.ask(targetOf(serving.client), { op: 'list' });
  }
  assertExplained(recorder.history);
  assert.deepEqual(errors, []);
  await assertDevices(node);
});

test('callers that go away leave the whole effect of their calls, or none', async () => {
  await using node = await createNode();
  const { log, errors } = watchLog();
  let state: State = {};
  const answers = new Map<string, number>();
  for (let round = 1; round <= 5; round += 1) {
    const random = seeded(round);
    const recorder = createRecorder(true);
    {
      await using serving = await node.serve({}, { log });
      await Promise.all(
        Array.from({ length: 4 }, async (_, caller) => {
          for (let turn = 0; turn < 12; turn += 1) {
            // Now the deadline passes, now the connection breaks, now the answer is heard.
            const gone = new AbortController();
            const deadlineMs = random() < 0.4 ? Math.ceil(random() * 25) : 60_000;
            const client = await connect(serving.daemon.address, { deadlineMs, signal: gone.signal });
            if (random() < 0.4) setTimeout(() => gone.abort(), random() * 25);
            const call = anyCall(random, KEYS, `${round}.${caller}.${turn}`);
            const { is } = await recorder.ask(targetOf(client), call);
            answers.set(is, (answers.get(is) ?? 0) + 1);
            client.close();
          }
        }),
      );
    }
    // The daemon has ended, and all that it was doing.
    recorder.settle();
    await assertDevices(node);
    await using serving = await node.serve({}, { log });
    await recorder.ask(targetOf(serving.client), { op: 'list' });
    assertExplained(recorder.history, state);
    state = stateOf(await listAll(serving.client));
  }
  assert.ok((answers.get('unknown') ?? 0) > 10 && (answers.get('ok') ?? 0) > 10, 'both kinds are met');
  assert.deepEqual(errors, []);
});

test('a call that was cut off can be repeated: its effect is there once', async () => {
  await using node = await createNode();
  const { log, errors } = watchLog();
  {
    await using serving = await node.serve({}, { log });
    const { client } = serving;
    await client.prepare('base', '');
    await client.commit('layer', 'base');

    /** Gives the call up after `ms`, then asks again until it is answered. */
    const repeat = async (ms: number, call: Call, done: string): Promise<void> => {
      const gone = new AbortController();
      const brief = await connect(serving.daemon.address, { signal: gone.signal });
      const cut = targetOf(brief)
        .ask(call)
        .catch(() => undefined);
      await sleep(ms);
      gone.abort();
      await cut;
      brief.close();
      await targetOf(client)
        .ask(call)
        .catch((error: unknown) => {
          assert.equal((error as { code?: unknown }).code, done, String(error));
        });
    };
    for (let ms = 0; ms < 24; ms += 1) {
      const [key, name] = [`key ${ms}`, `name ${ms}`];
      await repeat(ms, { op: 'prepare', key, parent: 'layer', label: '' }, 'already_exists');
      assert.equal((await client.stat(key)).kind, 'active');
      assert.equal((await client.mounts(key)).length, 1);
      await repeat(ms, { op: 'commit', key, name, label: '' }, 'not_found');
      assert.equal((await client.stat(name)).kind, 'committed');
      await repeat(ms, { op: 'remove', key: name }, 'not_found');
    }
    assert.deepEqual(
      (await listAll(client)).map(({ name }) => name),
      ['layer'],
    );
  }
  assert.deepEqual(errors, []);
  await assertDevices(node);
});

test('a daemon holds no more file descriptors after thousands of calls than after hundreds', async () => {
  const samples = await measureLeaks({ operations: 2000, every: 500, onSample: () => undefined });
  const [first, ...later] = samples.map(({ descriptors }) => descriptors);
  assert.ok(first !== undefined && first > 0);
  for (const descriptors of later) assert.ok(descriptors <= first, `${descriptors} after ${first}`);
});

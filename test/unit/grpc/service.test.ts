/** The ten calls over a real socket, through our client: meaning and status codes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError, ERROR_CODES, type ErrorCode, hasCode } from '../../../src/base/errors.ts';
import type { SnapshotsClient } from '../../../src/grpc/client.ts';
import { collect, startTestServer } from './support.ts';

async function refusedWith(code: ErrorCode, work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    assert.ok(hasCode(error, code), `${String(error)} is not ${code}`);
    return error.message;
  }
  return assert.fail(`nothing failed, ${code} was expected`);
}

/** A committed `base`, a committed `child` of it, an active `box` and a view `look` on the child. */
async function populate(client: SnapshotsClient): Promise<void> {
  await client.prepare('b', '');
  await client.commit('base', 'b', { layer: '1' });
  await client.prepare('c', 'base');
  await client.commit('child', 'c');
  await client.prepare('box', 'child', { 'a.b/c': 'd' });
  await client.view('look', 'child');
}

describe('a life of snapshots', () => {
  it('answers what the snapshotter answers', async (t) => {
    const { client: open, fake } = await startTestServer(t);
    const client = await open();
    fake.now = () => 1_700_000_000_001;
    assert.deepEqual(await client.prepare('a', '', { x: 'y' }), [
      { type: 'ext4', source: '/dev/mapper/pool-snap-61', target: '', options: [] },
    ]);
    assert.deepEqual(await client.stat('a'), {
      name: 'a',
      parent: '',
      kind: 'active',
      createdAtMs: 1_700_000_000_001,
      updatedAtMs: 1_700_000_000_001,
      labels: { x: 'y' },
    });
    fake.now = () => 1_700_000_000_002;
    await client.commit('A', 'a', { z: '' });
    assert.deepEqual((await client.stat('A')).labels, { z: '' });
    assert.deepEqual(await client.view('v', 'A'), [
      { type: 'ext4', source: '/dev/mapper/pool-snap-76', target: '', options: ['ro'] },
    ]);
    assert.deepEqual(await client.mounts('v'), await client.mounts('v'));
    fake.now = () => 1_700_000_000_003;
    const updated = await client.update('A', { kind: 'set', labels: { 'n.o/p': 'q' } });
    assert.deepEqual(updated, {
      name: 'A',
      parent: '',
      kind: 'committed',
      createdAtMs: 1_700_000_000_002,
      updatedAtMs: 1_700_000_000_003,
      labels: { z: '', 'n.o/p': 'q' },
    });
    assert.deepEqual((await client.update('A', { kind: 'set', labels: {} })).labels, updated.labels);
    assert.deepEqual((await client.update('A', { kind: 'replace', labels: {} })).labels, {});
    assert.deepEqual(await client.usage('v'), { sizeBytes: 65_536, inodes: 1 });
    await client.remove('v');
    assert.deepEqual(await collect(client.list()), [await client.stat('A')]);
    await client.cleanup();
    assert.equal(fake.cleanups, 1);
  });

  it('carries odd keys and labels unchanged', async (t) => {
    const { client: open } = await startTestServer(t);
    const client = await open();
    const keys = [
      'a b',
      'a"b\'c',
      'ünï/cödé',
      '\u{1f4be}',
      'a\nb\r\tc',
      '..',
      '%2F%',
      '\ufeffbom',
      '\u202e',
      '__proto__',
    ];
    for (const key of keys) {
      const labels = Object.fromEntries([[key, key]]);
      await client.prepare(key, '', labels);
      const info = await client.stat(key);
      assert.deepEqual([info.name, Object.entries(info.labels)], [key, [[key, key]]]);
    }
    assert.deepEqual(
      (await collect(client.list())).map((info) => info.name),
      keys,
    );
  });

  it('list takes filters', async (t) => {
    const { client: open } = await startTestServer(t);
    const client = await open();
    await populate(client);
    const names = async (...filters: string[]): Promise<string[]> =>
      (await collect(client.list(filters))).map((info) => info.name);
    assert.deepEqual(await names('kind==committed,parent==base'), ['child']);
    assert.deepEqual(await names('kind==view', 'labels."a.b/c"==d'), ['box', 'look']);
    assert.deepEqual(await names('name~=^b'), ['base', 'box']);
    assert.deepEqual(await names('name==nobody'), []);
    assert.deepEqual(await names(''), ['base', 'child', 'box', 'look']);
  });
});

describe('refusals', () => {
  const label = { k: 'v'.repeat(4096) };
  const giant = 'k'.repeat(1025);
  const cases: readonly (readonly [ErrorCode, string, (client: SnapshotsClient) => Promise<unknown>])[] = [
    ['not_found', 'Prepare: parent missing', (c) => c.prepare('n', 'nobody')],
    ['not_found', 'View: parent missing', (c) => c.view('n', 'nobody')],
    ['invalid_argument', 'Prepare: parent is active', (c) => c.prepare('n', 'box')],
    ['invalid_argument', 'View: parent is a view', (c) => c.view('n', 'look')],
    ['already_exists', 'Prepare: key taken', (c) => c.prepare('box', 'base')],
    ['already_exists', 'View: key taken by a committed name', (c) => c.view('base', 'base')],
    ['not_found', 'Commit: key missing', (c) => c.commit('n', 'nobody')],
    ['failed_precondition', 'Commit: key is a view', (c) => c.commit('n', 'look')],
    ['failed_precondition', 'Commit: key is committed', (c) => c.commit('n', 'base')],
    ['already_exists', 'Commit: name taken', (c) => c.commit('base', 'box')],
    ['invalid_argument', 'Commit: another parent', (c) => c.commit('n', 'box', {}, 'base')],
    ['not_found', 'Remove: key missing', (c) => c.remove('nobody')],
    ['failed_precondition', 'Remove: has children', (c) => c.remove('base')],
    ['not_found', 'Mounts: key missing', (c) => c.mounts('nobody')],
    ['failed_precondition', 'Mounts: committed', (c) => c.mounts('base')],
    ['not_found', 'Stat: missing', (c) => c.stat('nobody')],
    ['not_found', 'Usage: missing', (c) => c.usage('nobody')],
    ['not_found', 'Update: missing', (c) => c.update('nobody', { kind: 'replace', labels: {} })],
    ['invalid_argument', 'List: a filter that does not parse', (c) => collect(c.list(['name==']))],
    ['invalid_argument', 'Prepare: empty key', (c) => c.prepare('', '')],
    ['invalid_argument', 'View: empty key', (c) => c.view('', 'base')],
    ['invalid_argument', 'Mounts: empty key', (c) => c.mounts('')],
    ['invalid_argument', 'Commit: empty name', (c) => c.commit('', 'box')],
    ['invalid_argument', 'Commit: empty key', (c) => c.commit('n', '')],
    ['invalid_argument', 'Remove: empty key', (c) => c.remove('')],
    ['invalid_argument', 'Stat: empty key', (c) => c.stat('')],
    ['invalid_argument', 'Usage: empty key', (c) => c.usage('')],
    ['invalid_argument', 'Update: empty name', (c) => c.update('', { kind: 'replace', labels: {} })],
    ['invalid_argument', 'Prepare: giant key', (c) => c.prepare(giant, '')],
    ['invalid_argument', 'Prepare: giant parent', (c) => c.prepare('n', giant)],
    ['invalid_argument', 'Commit: giant name', (c) => c.commit(giant, 'box')],
    ['invalid_argument', 'Prepare: NUL in the key', (c) => c.prepare('a\0b', '')],
    ['invalid_argument', 'Prepare: label too large', (c) => c.prepare('n', '', label)],
    ['invalid_argument', 'View: label too large', (c) => c.view('n', '', label)],
    ['invalid_argument', 'Commit: label too large', (c) => c.commit('n', 'box', label)],
    [
      'invalid_argument',
      'Update: label too large',
      (c) => c.update('box', { kind: 'replace', labels: label }),
    ],
    [
      'invalid_argument',
      'Update: one label too large',
      (c) => c.update('box', { kind: 'set', labels: label }),
    ],
  ];

  it('have the code of the contract and leave everything as it was', async (t) => {
    const { client: open } = await startTestServer(t);
    const client = await open();
    await populate(client);
    const before = await collect(client.list());
    for (const [code, what, work] of cases) {
      await t.test(`${what} is ${code}`, async () => {
        const [op = ''] = what.split(':');
        assert.ok((await refusedWith(code, work(client))).includes(` ${op}: `));
      });
    }
    assert.deepEqual(await collect(client.list()), before);
  });
});

describe('errors of the snapshotter', () => {
  const ON_THE_WIRE: Partial<Record<ErrorCode, ErrorCode>> = {
    busy: 'failed_precondition',
    unsupported: 'internal',
    config: 'internal',
    locked: 'unavailable',
  };

  it('arrive with their code and full text, from unary calls and from List', async (t) => {
    const { client: open, fake } = await startTestServer(t);
    const client = await open();
    for (const code of ERROR_CODES) {
      const error = new DmthinError(code, {
        op: 'Remove',
        what: 'the device "ünï"\nis 100% in use',
        device: 'pool-snap-7',
        deviceId: 7,
        errno: 'EBUSY',
        poolStatus: '0 2097152 thin-pool 3 97/4096 1/16384 - rw discard_passdown queue_if_no_space - 1024',
        nextStep: 'unmount it',
      });
      fake.before = () => {
        throw error;
      };
      const expected = ON_THE_WIRE[code] ?? code;
      for (const work of [client.remove('x'), collect(client.list())]) {
        assert.ok((await refusedWith(expected, work)).endsWith(error.message));
      }
    }
  });

  it('that are not ours are internal, and logged with their stack and causes', async (t) => {
    const { client: open, fake, log } = await startTestServer(t);
    const client = await open();
    fake.before = () => {
      throw new TypeError('this is a bug', { cause: new RangeError('deeper') });
    };
    assert.match(await refusedWith('internal', client.stat('key')), /Stat: this is a bug/);
    const line = log.find(({ level }) => level === 'error');
    assert.equal(line?.facts['op'], 'Stat');
    assert.equal(line.facts['key'], 'key');
    assert.match(
      String(line.facts['stack']),
      /TypeError: this is a bug[^]*service\.test\.ts[^]*RangeError: deeper/,
    );
  });

  it('that are no Error objects do no harm', async (t) => {
    const { client: open, fake } = await startTestServer(t);
    const client = await open();
    for (const thrown of [undefined, null, 'text', 7, { message: 'object' }]) {
      fake.before = () => {
        const { promise, reject } = Promise.withResolvers<undefined>();
        reject(thrown);
        return promise;
      };
      await refusedWith('internal', client.stat('x'));
      await refusedWith('internal', collect(client.list()));
    }
  });

  it('with a giant text arrive cut', async (t) => {
    const { client: open, fake } = await startTestServer(t);
    const client = await open();
    fake.before = () => {
      throw new DmthinError('unavailable', { op: 'Stat', what: '\u{1f4be}\n'.repeat(1_000_000) });
    };
    const message = await refusedWith('unavailable', client.stat('x'));
    assert.match(message, /Stat: (\u{1f4be}\n)+\u{1f4be}?\.\.\.$/u);
  });
});

describe('the log', () => {
  it('has every call with its subject, the name containerd uses, and the code of a failure', async (t) => {
    const { client: open, log } = await startTestServer(t);
    const client = await open({ snapshotter: 'other-name' });
    await client.prepare('a', '');
    await refusedWith('not_found', client.stat('nobody'));
    await client.update('a', { kind: 'set', labels: { k: 'v' } });
    const of = (op: string): unknown => log.find(({ facts }) => facts['op'] === op);
    assert.partialDeepStrictEqual(of('Prepare'), {
      level: 'debug',
      facts: { snapshotter: 'other-name', key: 'a' },
      message: 'call served',
    });
    assert.partialDeepStrictEqual(of('Update'), { facts: { snapshotter: 'other-name', name: 'a' } });
    assert.partialDeepStrictEqual(of('Stat'), {
      level: 'debug',
      facts: { key: 'nobody', code: 'not_found' },
      message: 'call failed',
    });
  });
});

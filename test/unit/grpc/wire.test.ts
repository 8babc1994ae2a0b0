/** The bytes: field numbers, kinds and times as containerd sends and reads them, without our generated code. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesField, frame, mapField, numberField, openRaw } from './raw.ts';
import { startTestServer } from './support.ts';

const text = (field: number, value: string): Buffer => bytesField(field, value);
const message = (...fields: Buffer[]): Buffer => frame(Buffer.concat(fields));

/** Everything containerd sends in one field of its requests. */
const SNAPSHOTTER = text(1, 'some other name');

const CREATED_MS = 1_700_000_000_123;
const UPDATED_MS = 1_700_000_001_000;

/** Info of the contract, by hand. */
function info(name: string, parent: string, kind: number, labels: readonly [string, string][]): Buffer {
  return Buffer.concat([
    text(1, name),
    ...(parent === '' ? [] : [text(2, parent)]),
    numberField(3, kind),
    bytesField(4, Buffer.concat([numberField(1, 1_700_000_000), numberField(2, 123_000_000)])),
    bytesField(5, numberField(1, 1_700_000_001)),
    ...labels.map(([key, value]) => mapField(6, key, value)),
  ]);
}

describe('requests and responses on the wire', () => {
  it('Prepare, Commit, View, Mounts, Stat, List: all fields, all kinds', async (t) => {
    const { path, fake } = await startTestServer(t);
    fake.now = () => CREATED_MS;
    const { call } = await openRaw(t, path);

    const prepared = await call({
      method: 'Prepare',
      body: message(
        SNAPSHOTTER,
        text(2, 'ns/1/a'),
        mapField(4, 'k.l/m', 'v'),
        mapField(4, 'empty', ''),
        mapField(4, '__proto__', 'p'),
      ),
    });
    assert.equal(prepared.grpcStatus, 0);
    const source = '/dev/mapper/pool-snap-6e732f312f61';
    assert.deepEqual(prepared.messages, [bytesField(1, Buffer.concat([text(1, 'ext4'), text(2, source)]))]);
    assert.deepEqual(fake.calls.at(-1)?.args, [
      'ns/1/a',
      '',
      Object.fromEntries([
        ['k.l/m', 'v'],
        ['empty', ''],
        ['__proto__', 'p'],
      ]),
    ]);

    const committed = await call({
      method: 'Commit',
      body: message(SNAPSHOTTER, text(2, 'A'), text(3, 'ns/1/a'), mapField(4, 'l', 'm')),
    });
    assert.deepEqual([committed.grpcStatus, committed.messages], [0, [Buffer.alloc(0)]]);
    assert.deepEqual(fake.calls.at(-1)?.args, ['A', 'ns/1/a', { l: 'm' }, undefined]);

    await call({ method: 'Prepare', body: message(SNAPSHOTTER, text(2, 'ns/2/b'), text(3, 'A')) });
    const withParent = await call({
      method: 'Commit',
      body: message(SNAPSHOTTER, text(2, 'B'), text(3, 'ns/2/b'), text(5, 'A')),
    });
    assert.equal(withParent.grpcStatus, 0);
    assert.deepEqual(fake.calls.at(-1)?.args, ['B', 'ns/2/b', {}, 'A']);

    const viewed = await call({
      method: 'View',
      body: message(SNAPSHOTTER, text(2, 'look'), text(3, 'B'), mapField(4, 'l', 'm')),
    });
    const readOnly = bytesField(
      1,
      Buffer.concat([text(1, 'ext4'), text(2, '/dev/mapper/pool-snap-6c6f6f6b'), text(4, 'ro')]),
    );
    assert.deepEqual(viewed.messages, [readOnly]);
    assert.deepEqual(fake.calls.at(-1)?.args, ['look', 'B', { l: 'm' }]);
    const mounted = await call({ method: 'Mounts', body: message(SNAPSHOTTER, text(2, 'look')) });
    assert.deepEqual(mounted.messages, [readOnly]);

    fake.now = () => UPDATED_MS;
    await call({
      method: 'Update',
      body: message(SNAPSHOTTER, bytesField(2, Buffer.concat([text(1, 'A'), mapField(6, 'n', 'o')]))),
    });
    const stat = await call({ method: 'Stat', body: message(SNAPSHOTTER, text(2, 'A')) });
    assert.deepEqual(stat.messages, [bytesField(1, info('A', '', 3, [['n', 'o']]))]);

    await call({ method: 'Prepare', body: message(SNAPSHOTTER, text(2, 'ns/3/c'), text(3, 'A')) });
    await call({
      method: 'Update',
      body: message(SNAPSHOTTER, bytesField(2, text(1, 'look'))),
    });
    const list = await call({
      method: 'List',
      body: message(SNAPSHOTTER, text(2, 'name==A'), text(2, 'kind==view')),
    });
    assert.equal(list.grpcStatus, 0);
    assert.deepEqual(list.messages, [
      Buffer.concat([bytesField(1, info('A', '', 3, [['n', 'o']])), bytesField(1, info('look', 'B', 1, []))]),
    ]);
    const active = await call({ method: 'List', body: message(text(2, 'kind==active')) });
    assert.match(active.messages[0]?.toString('latin1') ?? '', /ns\/3\/c\x12\x01A\x18\x02/);
  });

  it('Update: the mask is field 3, its paths keep dots and slashes', async (t) => {
    const { path, fake } = await startTestServer(t);
    const { call } = await openRaw(t, path);
    await call({ method: 'Prepare', body: message(text(2, 'a'), mapField(4, 'old', '1')) });
    const updated = await call({
      method: 'Update',
      body: message(
        SNAPSHOTTER,
        bytesField(
          2,
          Buffer.concat([text(1, 'a'), mapField(6, 'x.y/z', '2'), mapField(6, 'not named', '3')]),
        ),
        bytesField(3, Buffer.concat([text(1, 'labels.x.y/z'), text(1, 'labels.gone')])),
      ),
    });
    assert.equal(updated.grpcStatus, 0);
    assert.deepEqual(fake.calls.at(-1)?.args, ['a', { kind: 'set', labels: { 'x.y/z': '2', gone: '' } }]);
    assert.match(updated.messages[0]?.toString('latin1') ?? '', /old.*x\.y\/z/s);
  });

  it('Usage: int64 size and inodes; Remove and Cleanup: Empty', async (t) => {
    const { path, fake } = await startTestServer(t);
    const { call } = await openRaw(t, path);
    await call({ method: 'Prepare', body: message(text(2, 'a')) });
    const small = await call({ method: 'Usage', body: message(SNAPSHOTTER, text(2, 'a')) });
    assert.deepEqual(small.messages, [Buffer.concat([numberField(1, 65_536), numberField(2, 1)])]);
    fake.usage = () => Promise.resolve({ sizeBytes: Number.MAX_SAFE_INTEGER, inodes: 0 });
    const large = await call({ method: 'Usage', body: message(text(2, 'a')) });
    assert.deepEqual(large.messages, [numberField(1, 9_007_199_254_740_991n)]);
    const removed = await call({ method: 'Remove', body: message(SNAPSHOTTER, text(2, 'a')) });
    assert.deepEqual([removed.grpcStatus, removed.messages], [0, [Buffer.alloc(0)]]);
    const cleaned = await call({ method: 'Cleanup', body: message(SNAPSHOTTER) });
    assert.deepEqual([cleaned.grpcStatus, cleaned.messages, fake.cleanups], [0, [Buffer.alloc(0)], 1]);
  });

  it('fields that later versions may add are ignored', async (t) => {
    const { path, fake } = await startTestServer(t);
    const { call } = await openRaw(t, path);
    const later = Buffer.concat([text(100, 'x'), numberField(101, 7), bytesField(102, Buffer.of(0xff))]);
    const prepared = await call({ method: 'Prepare', body: message(later, text(2, 'a'), later) });
    assert.equal(prepared.grpcStatus, 0);
    assert.deepEqual(fake.calls.at(-1)?.args, ['a', '', {}]);
  });
});

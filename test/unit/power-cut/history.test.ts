/** What a disk must have at a point of its log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHistory } from '../../power-cut/history.ts';
import type { Expected } from '../../workload/model.ts';

const none = new Map<string, string>();
const active: Expected = { kind: 'active', parent: '', labels: {}, files: none };
const info = (kind: Expected['kind']) => ({
  ...active,
  kind,
  name: '',
  createdAtMs: 0,
  updatedAtMs: 0,
});

/** A snapshot that is made (mark 1), written without fsync (mark 2) and committed (mark 3). */
async function layerHistory() {
  const history = createHistory(() => Promise.resolve());
  const made = history.model.ask(new Map([['k', active]]));
  made.acknowledged();
  await history.mark();
  const files = new Map([['file', 'digest']]);
  history.model.writes('k', ['file']).done(files, false);
  await history.mark();
  const layer: Expected = { ...active, kind: 'committed', files };
  const committed = history.model.ask(
    new Map<string, Expected | undefined>([['k', undefined]]).set('l', layer),
  );
  committed.acknowledged();
  await history.mark();
  return history;
}

test('before its acknowledgement a change may have happened or not', async () => {
  const history = await layerHistory();
  const before = () => history.expectedWhen(() => false);
  assert.deepEqual(before().settle(new Map()), []);
  assert.deepEqual(before().settle(new Map([['k', info('active')]])), []);
  assert.notDeepEqual(before().settle(new Map([['l', info('committed')]])), [], 'not begun yet');
});

test('afterwards it must be there', async () => {
  const history = await layerHistory();
  const after = () => history.expectedWhen((mark) => mark <= 1);
  assert.notDeepEqual(after().settle(new Map()), []);
  assert.deepEqual(after().settle(new Map([['k', info('active')]])), []);
});

test('what was written without fsync is unsure until it is committed', async () => {
  const history = await layerHistory();
  const written = history.expectedWhen((mark) => mark <= 2);
  assert.deepEqual([...(written.snapshots.get('k')?.unsure ?? [])], ['file']);
  // The commit is in doubt: when it happened, its contents are there.
  assert.deepEqual(written.settle(new Map([['l', info('committed')]])), []);
  assert.equal(written.snapshots.get('l')?.unsure, undefined);
  assert.equal(written.snapshots.get('l')?.files.get('file'), 'digest');
});

test('half of a change is neither before nor after', async () => {
  const history = await layerHistory();
  const both = new Map([['k', info('active')]]).set('l', info('committed'));
  assert.match(
    history
      .expectedWhen((mark) => mark <= 2)
      .settle(both)
      .join(),
    /neither/,
  );
});

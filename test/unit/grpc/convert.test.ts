import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasCode } from '../../../src/base/errors.ts';
import { decode, encode } from '../../../src/grpc/codec.ts';
import { infoFromWire, infoToWire, labelChange } from '../../../src/grpc/convert.ts';
import { InfoSchema } from '../../../src/grpc/gen/containerd/services/snapshots/v1/snapshots_pb.ts';
import type { LabelChange, Labels, SnapshotInfo } from '../../../src/snapshotter/snapshotter.ts';
import { numberField } from './raw.ts';

const LABELS: Labels = { a: '1', 'containerd.io/gc.root': '2', 'x y': '3' };

describe('the update mask', () => {
  const cases: readonly (readonly [paths: string[], expected: LabelChange])[] = [
    [[], { kind: 'replace', labels: LABELS }],
    [['labels'], { kind: 'replace', labels: LABELS }],
    [['labels.a'], { kind: 'set', labels: { a: '1' } }],
    [['labels.a', 'labels.a'], { kind: 'set', labels: { a: '1' } }],
    [['labels.containerd.io/gc.root'], { kind: 'set', labels: { 'containerd.io/gc.root': '2' } }],
    [['labels.x y'], { kind: 'set', labels: { 'x y': '3' } }],
    [['labels.absent', 'labels.a'], { kind: 'set', labels: { absent: '', a: '1' } }],
    [['labels.toString'], { kind: 'set', labels: { toString: '' } }],
    [['labels..'], { kind: 'set', labels: { '.': '' } }],
    [['labels', 'labels.absent'], { kind: 'replace', labels: { ...LABELS, absent: '' } }],
    [['labels.absent', 'labels'], { kind: 'replace', labels: LABELS }],
  ];
  for (const [paths, expected] of cases) {
    it(JSON.stringify(paths), () => assert.deepEqual(labelChange(LABELS, paths), expected));
  }

  it('of labels alone, with none given, removes all', () => {
    assert.deepEqual(labelChange({}, ['labels']), { kind: 'replace', labels: {} });
  });

  it('can name __proto__', () => {
    const { labels } = labelChange(JSON.parse('{"__proto__":"p"}') as Labels, ['labels.__proto__']);
    assert.deepEqual(Object.entries(labels), [['__proto__', 'p']]);
  });

  for (const path of [
    '',
    'name',
    'parent',
    'kind',
    'created_at',
    'info.labels',
    'labels.',
    'labelsx',
    'Labels',
    '*',
  ]) {
    it(`refuses ${JSON.stringify(path)}`, () => {
      assert.throws(
        () => labelChange(LABELS, ['labels.a', path]),
        (error) => hasCode(error, 'invalid_argument') && error.message.includes(JSON.stringify(path)),
      );
    });
  }

  it('shows the beginning of a giant path', () => {
    assert.throws(
      () => labelChange({}, ['x'.repeat(1_000_000)]),
      (error) => hasCode(error, 'invalid_argument') && error.message.length < 500,
    );
  });
});

describe('snapshots', () => {
  it('survive the way over the wire, times to the millisecond, before 1970 too', () => {
    for (const [kind, createdAtMs] of [
      ['active', 0],
      ['view', 1_700_000_000_999],
      ['committed', -1],
    ] as const) {
      const info: SnapshotInfo = {
        name: 'ns/1/ünï "x"\n',
        parent: 'p',
        kind,
        createdAtMs,
        updatedAtMs: createdAtMs + 1,
        labels: { '': 'empty key', k: '' },
      };
      const wire = decode(InfoSchema, encode(InfoSchema, infoToWire(info)), 'Stat');
      assert.deepEqual(infoFromWire(wire, 'Stat'), info);
    }
  });

  it('of a kind we do not know are an error, not a guess', () => {
    for (const kind of [0, 4, -1]) {
      assert.throws(
        () => infoFromWire(decode(InfoSchema, numberField(3, kind), 'List'), 'List'),
        (error) => hasCode(error, 'internal') && error.message.includes(`kind ${kind}`),
      );
    }
  });
});

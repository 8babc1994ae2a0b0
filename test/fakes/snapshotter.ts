/** A snapshotter in memory with the semantics of the contract, and hooks to hold calls and to make them fail. */
import { DmthinError, type ErrorCode } from '../../src/base/errors.ts';
import type {
  CallOptions,
  LabelChange,
  Labels,
  Mount,
  SnapshotInfo,
  SnapshotKind,
  Snapshotter,
  Usage,
} from '../../src/snapshotter/snapshotter.ts';

export interface FakeCall {
  readonly op: string;
  readonly args: readonly unknown[];
  readonly signal?: AbortSignal | undefined;
}

export interface FakeSnapshotter extends Snapshotter {
  /** Every call as it arrived. */
  readonly calls: readonly FakeCall[];
  /** Pages that `list` has handed out, and iterations that ended, in whatever way. */
  readonly listed: { pages: number; ended: number };
  readonly cleanups: number;
  /** Runs at the start of every operation: throw to fail it, return a promise to hold it. */
  before: (call: FakeCall) => void | Promise<void>;
  now: () => number;
}

const PAGE = 100;

export function createFakeSnapshotter(): FakeSnapshotter {
  const snapshots = new Map<string, SnapshotInfo>();
  const calls: FakeCall[] = [];
  const listed = { pages: 0, ended: 0 };
  let cleanups = 0;

  function need(op: string, key: string): SnapshotInfo {
    const found = snapshots.get(key);
    if (found === undefined) throw failure('not_found', op, `snapshot ${JSON.stringify(key)} does not exist`);
    return found;
  }

  function checkFree(op: string, key: string): void {
    if (snapshots.has(key)) throw failure('already_exists', op, `${JSON.stringify(key)} is taken`);
  }

  async function enter(op: string, args: readonly unknown[], options?: CallOptions): Promise<void> {
    const call: FakeCall = { op, args, signal: options?.signal };
    calls.push(call);
    await fake.before(call);
  }

  async function make(
    op: string,
    kind: SnapshotKind,
    [key, parent, labels]: readonly [string, string, Labels],
    options?: CallOptions,
  ): Promise<Mount[]> {
    await enter(op, [key, parent, labels], options);
    if (parent !== '' && need(op, parent).kind !== 'committed') {
      throw failure('invalid_argument', op, `the parent ${JSON.stringify(parent)} is not committed`);
    }
    checkFree(op, key);
    const now = fake.now();
    const info: SnapshotInfo = {
      name: key,
      parent,
      kind,
      createdAtMs: now,
      updatedAtMs: now,
      labels: { ...labels },
    };
    snapshots.set(key, info);
    return [mountOf(info)];
  }

  const fake: FakeSnapshotter = {
    calls,
    listed,
    get cleanups() {
      return cleanups;
    },
    before: () => undefined,
    now: () => Date.now(),
    prepare: (key, parent, labels, options) => make('Prepare', 'active', [key, parent, labels], options),
    view: (key, parent, labels, options) => make('View', 'view', [key, parent, labels], options),
    async mounts(key, options) {
      await enter('Mounts', [key], options);
      const info = need('Mounts', key);
      if (info.kind === 'committed') throw failure('failed_precondition', 'Mounts', 'it is committed');
      return [mountOf(info)];
    },
    async commit(name, key, labels, expectedParent, options) {
      await enter('Commit', [name, key, labels, expectedParent], options);
      const info = need('Commit', key);
      if (info.kind !== 'active') throw failure('failed_precondition', 'Commit', `it is ${info.kind}`);
      checkFree('Commit', name);
      if (expectedParent !== undefined && expectedParent !== info.parent) {
        throw failure('invalid_argument', 'Commit', 'a thin device cannot be re-parented');
      }
      const now = fake.now();
      snapshots.delete(key);
      snapshots.set(name, {
        name,
        parent: info.parent,
        kind: 'committed',
        createdAtMs: now,
        updatedAtMs: now,
        labels: { ...labels },
      });
    },
    async remove(key, options) {
      await enter('Remove', [key], options);
      need('Remove', key);
      if ([...snapshots.values()].some((other) => other.parent === key)) {
        throw failure('failed_precondition', 'Remove', 'it has children');
      }
      snapshots.delete(key);
    },
    async stat(key) {
      await enter('Stat', [key]);
      return need('Stat', key);
    },
    async update(name, change) {
      await enter('Update', [name, change]);
      const info = need('Update', name);
      const updated: SnapshotInfo = {
        ...info,
        updatedAtMs: fake.now(),
        labels: applyChange(info.labels, change),
      };
      snapshots.set(name, updated);
      return updated;
    },
    async *list(predicate) {
      await enter('List', []);
      try {
        const matching = [...snapshots.values()].filter(predicate);
        for (let at = 0; at < matching.length; at += PAGE) {
          listed.pages += 1;
          yield matching.slice(at, at + PAGE);
        }
      } finally {
        listed.ended += 1;
      }
    },
    async usage(key, options): Promise<Usage> {
      await enter('Usage', [key], options);
      need('Usage', key);
      return { sizeBytes: key.length * 65_536, inodes: key.length };
    },
    async cleanup(options) {
      await enter('Cleanup', [], options);
      cleanups += 1;
    },
  };
  return fake;
}

function applyChange(labels: Labels, change: LabelChange): Labels {
  return change.kind === 'replace' ? { ...change.labels } : { ...labels, ...change.labels };
}

function mountOf(info: SnapshotInfo): Mount {
  return {
    type: 'ext4',
    source: `/dev/mapper/pool-snap-${Buffer.from(info.name).toString('hex').slice(0, 16)}`,
    target: '',
    options: info.kind === 'view' ? ['ro'] : [],
  };
}

function failure(code: ErrorCode, op: string, what: string): DmthinError {
  return new DmthinError(code, { op, what });
}

/**
 * The snapshotter as its callers see it: the ten operations of containerd's Snapshots service, without the wire.
 * Semantics and error codes: docs/architecture.md.
 */
export type SnapshotKind = 'active' | 'view' | 'committed';

export type Labels = Readonly<Record<string, string>>;

export interface SnapshotInfo {
  readonly name: string;
  /** '' when the snapshot has no parent. */
  readonly parent: string;
  readonly kind: SnapshotKind;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly labels: Labels;
}

export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

export interface Usage {
  readonly sizeBytes: number;
  readonly inodes: number;
}

/** What Update changes: all labels, or single ones. */
export type LabelChange =
  { readonly kind: 'replace'; readonly labels: Labels } | { readonly kind: 'set'; readonly labels: Labels };

export interface CallOptions {
  /** Aborted when the caller went away or its deadline passed. */
  readonly signal?: AbortSignal | undefined;
}

/** Decides which snapshots List returns. */
export type SnapshotPredicate = (info: SnapshotInfo) => boolean;

/** Keys and labels have been validated by the caller (labels.ts). */
export interface Snapshotter {
  prepare(key: string, parent: string, labels: Labels, options?: CallOptions): Promise<Mount[]>;
  view(key: string, parent: string, labels: Labels, options?: CallOptions): Promise<Mount[]>;
  mounts(key: string, options?: CallOptions): Promise<Mount[]>;
  /** `expectedParent` is undefined when the caller did not name one. */
  commit(
    name: string,
    key: string,
    labels: Labels,
    expectedParent: string | undefined,
    options?: CallOptions,
  ): Promise<void>;
  remove(key: string, options?: CallOptions): Promise<void>;
  stat(key: string): Promise<SnapshotInfo>;
  update(name: string, change: LabelChange): Promise<SnapshotInfo>;
  /** Pages of at most 100; memory does not grow with the number of snapshots. */
  list(predicate: SnapshotPredicate): AsyncIterable<SnapshotInfo[]>;
  usage(key: string, options?: CallOptions): Promise<Usage>;
  cleanup(options?: CallOptions): Promise<void>;
}

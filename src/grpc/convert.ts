/** Snapshots between their wire form and ours. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { DmthinError } from '../base/errors.ts';
import type { LabelChange, Labels, SnapshotInfo, SnapshotKind } from '../snapshotter/snapshotter.ts';
import { type Info, type InfoSchema, Kind } from './gen/containerd/services/snapshots/v1/snapshots_pb.ts';

const WIRE_KIND = {
  view: Kind.VIEW,
  active: Kind.ACTIVE,
  committed: Kind.COMMITTED,
} as const satisfies Record<SnapshotKind, Kind>;

export function infoToWire(info: SnapshotInfo): MessageInitShape<typeof InfoSchema> {
  return {
    name: info.name,
    parent: info.parent,
    kind: WIRE_KIND[info.kind],
    createdAt: timestampFromMs(info.createdAtMs),
    updatedAt: timestampFromMs(info.updatedAtMs),
    labels: info.labels,
  };
}

/** @throws internal when the daemon sent a kind that we do not know. */
export function infoFromWire(info: Info, op: string): SnapshotInfo {
  return {
    name: info.name,
    parent: info.parent,
    kind: kindFromWire(info, op),
    createdAtMs: info.createdAt === undefined ? 0 : timestampMs(info.createdAt),
    updatedAtMs: info.updatedAt === undefined ? 0 : timestampMs(info.updatedAt),
    labels: info.labels,
  };
}

function kindFromWire(info: Info, op: string): SnapshotKind {
  switch (info.kind) {
    case Kind.VIEW:
      return 'view';
    case Kind.ACTIVE:
      return 'active';
    case Kind.COMMITTED:
      return 'committed';
    case Kind.UNKNOWN:
    default:
      throw new DmthinError('internal', {
        op,
        what: `snapshot ${JSON.stringify(info.name)} has the unknown kind ${info.kind}`,
      });
  }
}

const ALL_LABELS = 'labels';
const ONE_LABEL = 'labels.';

/**
 * What an Update asks for. The paths apply in their order, as in containerd: `labels` replaces everything,
 * `labels.KEY` (all that follows the first dot is KEY) sets one label, to '' when `labels` does not have it.
 * @throws invalid_argument for any other path.
 */
export function labelChange(labels: Labels, paths: readonly string[]): LabelChange {
  if (paths.length === 0) return { kind: 'replace', labels };
  let kind: LabelChange['kind'] = 'set';
  let changed = new Map<string, string>();
  for (const path of paths) {
    if (path === ALL_LABELS) {
      kind = 'replace';
      changed = new Map(Object.entries(labels));
    } else if (path.startsWith(ONE_LABEL) && path.length > ONE_LABEL.length) {
      const key = path.slice(ONE_LABEL.length);
      changed.set(key, Object.hasOwn(labels, key) ? (labels[key] ?? '') : '');
    } else {
      throw new DmthinError('invalid_argument', {
        op: 'Update',
        what: `the field ${JSON.stringify(path.slice(0, 200))} of a snapshot cannot be changed`,
        nextStep: 'use the update mask labels or labels.KEY',
      });
    }
  }
  return { kind, labels: Object.fromEntries(changed) };
}

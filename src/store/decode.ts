/** Database rows arrive as `unknown`; here they become records or a clear error. */
import * as v from 'valibot';
import { DmthinError } from '../base/errors.ts';
import { bytes, deviceId, snapshotId } from '../base/units.ts';
import { FS_TYPES } from '../filesystem/types.ts';
import type { BaseRecord, DeviceOwner, SnapshotRecord } from './records.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const totals = v.object({ mappedBytes: count, inodes: count });
const device = v.pipe(v.number(), v.transform(deviceId));
const snapshot = v.pipe(v.number(), v.transform(snapshotId));
const size = v.pipe(v.number(), v.transform(bytes));
const fsType = v.picklist(FS_TYPES);
const kind = v.picklist(['active', 'view']);

const common = {
  id: snapshot,
  key: v.string(),
  parentId: v.nullable(snapshot),
  deviceId: device,
  fsType,
  sizeBytes: size,
  labels: v.record(v.string(), v.string()),
  createdAtMs: count,
  updatedAtMs: count,
  origin: totals,
};

const snapshotSchema = v.variant('state', [
  v.object({ ...common, state: v.literal('creating'), kind }),
  v.object({ ...common, state: v.literal('active'), kind, lostWrite: v.optional(v.string()) }),
  v.object({ ...common, state: v.literal('committed'), totals }),
  v.object({ ...common, state: v.literal('removing') }),
]);

const baseSchema = v.object({
  key: v.string(),
  state: v.picklist(['creating', 'ready', 'removing']),
  deviceId: device,
  fsType,
  sizeBytes: size,
  fsOptions: v.string(),
  totals,
});

const ownerSchema = v.variant('kind', [
  v.object({ kind: v.literal('snapshot'), id: snapshot }),
  v.object({ kind: v.literal('base'), key: v.string() }),
  v.object({ kind: v.literal('foreign') }),
]);

const metaSchema = v.object({
  schema: v.literal(1),
  storeId: v.string(),
  /** The pool that all device ids belong to; null until the first attach. */
  poolName: v.nullable(v.string()),
  /** Whether the ids that the pool had before us are marked foreign. */
  poolScanned: v.boolean(),
  /**
   * The transaction id of a pool that dmthin made: before our last change of it, and after. Text, because it has 64 bits.
   * null: never changed by this store.
   */
  generation: v.optional(v.nullable(v.object({ before: v.string(), after: v.string() })), null),
  nextSnapshotId: v.pipe(count, v.minValue(1)),
  /** Counts up for ever; the id is this modulo the id space. */
  nextDeviceId: v.pipe(count, v.minValue(1)),
});

/** The store's own facts: identity, pool and the counters that never roll back. */
export type Meta = v.InferOutput<typeof metaSchema>;

function decodeWith<S extends v.GenericSchema>(schema: S, table: string, row: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, row);
  if (result.success) return result.output;
  const issues = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'row'}: ${issue.message}`).join('; ');
  throw new DmthinError('internal', {
    op: 'read store',
    what: `a row of table ${table} is not what this version writes (${issues})`,
    nextStep: 'a newer dmthin may have written it: run that version, or restore the store from a backup',
  });
}

export const decodeSnapshot = (row: unknown): SnapshotRecord => decodeWith(snapshotSchema, 'snapshots', row);
export const decodeBase = (row: unknown): BaseRecord => decodeWith(baseSchema, 'bases', row);
export const decodeOwner = (row: unknown): DeviceOwner => decodeWith(ownerSchema, 'devices', row);
export const decodeMeta = (row: unknown): Meta => decodeWith(metaSchema, 'meta', row);
export const decodeSnapshotId = (row: unknown): SnapshotRecord['id'] => decodeWith(snapshot, 'names', row);

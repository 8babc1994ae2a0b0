/** The remedies that are not recovery's. Each runs under the locks of what its finding is about, and looks again there. */
import { DmthinError } from '../base/errors.ts';
import { type DeviceId, dmName } from '../base/units.ts';
import { applyAll, type ApplyStep } from '../pool/apply.ts';
import { poolMissing } from '../pool/health.ts';
import { planActivate, planDelete } from '../pool/plan.ts';
import type { RecoveryReport } from '../pool/recovery.ts';
import { type SnapshotRecord, toRemoving } from '../store/records.ts';
import type { Store, StoreReader } from '../store/store.ts';
import { type Finding, type FindingKind, FINDINGS } from './findings.ts';
import type { ReadFactsOptions } from './read-facts.ts';

export interface RepairOptions extends ReadFactsOptions {
  readonly store: Store;
  readonly apply: ApplyStep;
  readonly releaseMount: (directory: string) => Promise<void>;
  /** Recovery, now. */
  readonly recover: () => Promise<RecoveryReport>;
  /** Finishes the removals that are durable already. */
  readonly finishRemovals: () => Promise<void>;
}

export interface RepairRequest {
  /** False: nothing is changed, the outcome tells what would be done. */
  readonly apply: boolean;
  /** Devices of the pool to delete that no record names. */
  readonly deleteDevices: readonly DeviceId[];
  /** Devices of the pool to note as not ours: they are left alone, and checks do not tell of them any more. */
  readonly keepDevices: readonly DeviceId[];
}

type Remedy = (options: RepairOptions, finding: Finding, request: RepairRequest) => Promise<void>;

/** Kinds that `repair` sees to itself. */
export type OwnRemedyKind = {
  [K in FindingKind]: (typeof FINDINGS)[K]['by'] extends 'repair' | 'option' ? K : never;
}[FindingKind];

export function hasOwnRemedy(kind: FindingKind): kind is OwnRemedyKind {
  const { by } = FINDINGS[kind];
  return by === 'repair' || by === 'option';
}

export const REMEDIES = {
  'leaked-device': async ({ store, apply }, { deviceId }, { deleteDevices }) => {
    if (deviceId === undefined || isOwned(store, deviceId)) return;
    if (deleteDevices.includes(deviceId)) await applyAll(apply, planDelete(deviceId));
    else await store.transaction('repair: keep', (tx) => tx.markForeign(deviceId));
  },
  'missing-device': async (options, { deviceId, device }) => {
    if (deviceId === undefined) return;
    const owner = options.store.deviceOwner(deviceId);
    // What is left of it in the kernel; the pool has nothing to delete.
    if (device !== undefined)
      await options.apply({ do: 'deactivate', name: dmName(device), deferred: false });
    if (owner?.kind === 'base')
      await options.store.transaction('repair: forget base', (tx) => tx.forgetBase(owner.key));
    if (owner?.kind === 'snapshot') await forgetSnapshot(options.store, owner.id);
  },
  'wrong-size': activateAnew,
  'wrong-table': activateAnew,
  'stray-mount': async ({ releaseMount }, { device }) => {
    if (device !== undefined) await releaseMount(device);
  },
} as const satisfies Record<OwnRemedyKind, Remedy>;

/** True when a snapshot or base has the id; ids noted as not ours are nobody's in the store. */
export function isOwned(store: StoreReader, id: DeviceId): boolean {
  const owner = store.deviceOwner(id);
  return owner !== undefined && owner.kind !== 'foreign';
}

async function activateAnew(
  { store, dm, apply, poolName }: RepairOptions,
  { deviceId, device }: Finding,
): Promise<void> {
  const owner = deviceId === undefined ? undefined : store.deviceOwner(deviceId);
  const record = owner?.kind === 'snapshot' ? store.snapshot(owner.id) : undefined;
  if (record?.state !== 'active' || device === undefined) return;
  const pool = await dm.info(poolName);
  if (pool === undefined) throw poolMissing('repair', poolName);
  const name = dmName(device);
  await apply({ do: 'deactivate', name, deferred: false });
  await apply(planActivate(name, record, `${pool.major}:${pool.minor}`));
}

async function forgetSnapshot(store: Store, id: SnapshotRecord['id']): Promise<void> {
  await store.transaction('repair: forget', (tx) => {
    const record = tx.snapshot(id);
    if (record === undefined) return;
    if (tx.hasChildren(id)) {
      throw new DmthinError('failed_precondition', {
        op: 'repair',
        what: `snapshot ${JSON.stringify(record.key)} has children, which have their own contents`,
        nextStep: 'remove the snapshots that are made from it first',
      });
    }
    tx.updateSnapshot(toRemoving(record));
    tx.forgetSnapshot(id);
  });
}

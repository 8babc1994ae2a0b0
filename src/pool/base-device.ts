/**
 * The base device: formatted once for each (filesystem, size, options); parentless snapshots are snapshots of it, so
 * that no Prepare runs mkfs.
 *
 * INVARIANT: a base is used only in state `ready`, which is written after its filesystem is flushed and its device
 * inactive. A base found in any other state is deleted (recovery) and made anew.
 */
import { createHash } from 'node:crypto';
import type { KeyedMutex } from '../base/keyed-mutex.ts';
import type { Log } from '../base/log.ts';
import type { Bytes, DeviceId } from '../base/units.ts';
import { devicePath } from '../dm/client.ts';
import type { FsType } from '../filesystem/types.ts';
import type { BaseRecord } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { applyAll, type ApplyStep } from './apply.ts';
import { claimDeviceId } from './device-ids.ts';
import type { ReadFigures } from './device-figures.ts';
import { baseLock } from './locks.ts';
import { baseDeviceName } from './names.ts';
import { planActivate, planUndoCreate } from './plan.ts';
import type { ThinPool } from './thin-pool.ts';

export interface BaseSpec {
  readonly fsType: FsType;
  readonly sizeBytes: Bytes;
  readonly fsOptions: string;
}

export interface BaseDeviceOptions {
  readonly store: Store;
  readonly pool: ThinPool;
  readonly apply: ApplyStep;
  readonly locks: KeyedMutex;
  readonly log: Log;
  readonly readFigures: ReadFigures;
  /** Makes the filesystem on the device at `path`, without lost+found. */
  readonly format: (path: string, spec: BaseSpec) => Promise<void>;
}

/** The ready base of `spec`, made if there is none. Callers of one spec wait for one formatting. */
export type EnsureBase = (spec: BaseSpec) => Promise<BaseRecord>;

export function baseKey({ fsType, sizeBytes, fsOptions }: BaseSpec): string {
  return createHash('sha256')
    .update(JSON.stringify([fsType, sizeBytes, fsOptions]))
    .digest('hex')
    .slice(0, 32);
}

export function createEnsureBase(options: BaseDeviceOptions): EnsureBase {
  const { store, locks } = options;
  return async (spec) => {
    const key = baseKey(spec);
    const ready = store.base(key);
    if (ready?.state === 'ready') return ready;
    return locks.run(baseLock(key), async () => {
      const found = store.base(key);
      if (found?.state === 'ready') return found;
      if (found !== undefined) await deleteBase(options, found);
      return makeBase(options, key, spec);
    });
  };
}

async function makeBase(options: BaseDeviceOptions, key: string, spec: BaseSpec): Promise<BaseRecord> {
  const { store, pool, apply, log, readFigures, format } = options;
  const startedAt = performance.now();
  const { device } = await pool.look('make base device', 'allocate');
  const totals = { mappedBytes: 0, inodes: 0 };
  const intent = (deviceId: DeviceId): BaseRecord => ({ ...spec, key, state: 'creating', deviceId, totals });
  const first = await store.transaction('base: intent', (tx) => {
    const id = tx.nextDeviceId();
    tx.putBase(intent(id));
    return id;
  });
  let record = intent(first);
  try {
    const deviceId = await claimDeviceId({
      log,
      first,
      make: (id) => apply({ do: 'create-thin', id }),
      moveOn: async (taken) => {
        const next = await store.transaction('base: next id', (tx) => {
          tx.markForeign(taken);
          const id = tx.nextDeviceId();
          tx.putBase(intent(id));
          return id;
        });
        record = intent(next);
        return next;
      },
    });
    const name = baseDeviceName(pool.name, deviceId);
    await apply(planActivate(name, record, device));
    await format(devicePath(name), spec);
    await apply({ do: 'flush', name });
    const ready: BaseRecord = { ...record, state: 'ready', totals: (await readFigures(name)).totals };
    await apply({ do: 'deactivate', name, deferred: false });
    await apply({ do: 'confirm' });
    await store.transaction('base: ready', (tx) => tx.putBase(ready));
    log.info(
      { ...spec, deviceId, tookMs: Math.round(performance.now() - startedAt) },
      'formatted the base device that parentless snapshots are made from',
    );
    return ready;
  } catch (error) {
    await deleteBase(options, record).catch((undoError: unknown) => {
      log.warn(
        { error: undoError, deviceId: record.deviceId },
        'an unfinished base device stays until the next try',
      );
    });
    throw error;
  }
}

/** Deletes a base in any state; idempotent. Snapshots made from it do not need it. */
export async function deleteBase(
  { store, pool, apply }: Pick<BaseDeviceOptions, 'store' | 'pool' | 'apply'>,
  base: BaseRecord,
): Promise<void> {
  if (base.state === 'ready') {
    await store.transaction('base: removing', (tx) => tx.putBase({ ...base, state: 'removing' }));
  }
  await applyAll(apply, planUndoCreate(baseDeviceName(pool.name, base.deviceId), base.deviceId));
  await store.transaction('base: forget', (tx) => tx.forgetBase(base.key));
}

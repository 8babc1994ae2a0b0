/** Brings the pool that the configuration describes into the kernel. */
import { toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { DmName } from '../base/units.ts';
import { ensurePool } from '../pool/provision-ensure.ts';
import type { ChangeDeps } from '../pool/provision-request.ts';
import type { Store } from '../store/store.ts';
import type { PoolSettings } from './config.ts';

export interface AssembleOptions extends ChangeDeps {
  readonly name: DmName;
  readonly settings: PoolSettings;
  readonly store: Store;
  readonly log: Log;
}

/**
 * INVARIANT: a store that knows devices is never given a new, empty pool: its own lies on a disk that is not there yet.
 * @returns a function that throws unavailable with what keeps the pool from being assembled.
 */
export function createAssemblePool(options: AssembleOptions): () => Promise<void> {
  const { name, settings, store, log } = options;
  const { backing, blockSectors } = settings;
  if (backing === undefined) return () => Promise.resolve();
  return async () => {
    const knowsDevices = store.snapshotsAfter(0, 1).length > 0 || store.bases().length > 0;
    const mustExist = knowsDevices ? `the store at ${store.rootPath} has devices on it` : undefined;
    try {
      const described = { name, backing, blockSectors, mustExist };
      const { outcome, steps, warnings } = await ensurePool(described, options);
      for (const warning of warnings) log.warn({ pool: name }, warning);
      if (outcome === 'present') return;
      log.info({ pool: name, steps }, `the pool of the configuration is ${outcome}`);
    } catch (error) {
      // The code of a provisioning error, such as already_exists, would mean something else to a snapshotter's caller.
      throw toDmthinError(error, 'assemble the pool').with({}, 'unavailable');
    }
  };
}

/** The settings of an empty table [pool]. */
import type { PoolSettings } from '../../src/daemon/config.ts';
import { DEFAULT_FLOORS } from '../../src/pool/health.ts';

export const NO_POOL: PoolSettings = {
  backing: undefined,
  blockSectors: undefined,
  floors: DEFAULT_FLOORS,
  maxDataBytes: undefined,
  onLowSpace: undefined,
};

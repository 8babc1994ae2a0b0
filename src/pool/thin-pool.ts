/** The thin pool as the kernel shows it now. Nothing is cached: another hand may repair or replace it at any time. */
import { DmthinError, hasCode, toDmthinError, type ErrorCode } from '../base/errors.ts';
import { type DmName, sectorsToBytes } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import { parsePoolStatus, type HealthyPoolStatus } from '../dm/status.ts';
import { parsePoolTable } from '../dm/tables.ts';
import { poolMissing, requireUsable, type Floors, type PoolUse } from './health.ts';

export interface PoolView {
  /** `major:minor`, for tables. */
  readonly device: string;
  readonly status: HealthyPoolStatus;
}

export interface ThinPool {
  readonly name: DmName;
  /** @throws unavailable, resource_exhausted: the pool cannot be used so now. */
  requireUsable(op: string, use: PoolUse): Promise<HealthyPoolStatus>;
  /** The same, and the pool's device with it. */
  look(op: string, use: PoolUse): Promise<PoolView>;
  /**
   * A kernel failure as callers may see it: when the pool is the cause, its code and remedy; else `fallback`, with the
   * pool's status line. Codes of our own checks (a key that is taken) never pass through here.
   */
  explain(error: unknown, op: string, use: PoolUse, fallback: ErrorCode): Promise<DmthinError>;
}

/** Failures that are the caller's own doing. */
const KEPT_CODES: readonly ErrorCode[] = ['cancelled', 'deadline_exceeded'];
/** Failures that the dm client tells of the pool or the machine, meant for callers as they are. */
const POOL_CODES: readonly ErrorCode[] = ['unavailable', 'resource_exhausted', 'unsupported'];

export function createThinPool(dm: DmClient, name: DmName, floors: Floors): ThinPool {
  async function look(op: string, use: PoolUse): Promise<PoolView> {
    const [info, status] = await Promise.all([dm.info(name), usable(op, use)]);
    if (info === undefined) throw poolMissing(op, name);
    return { device: `${info.major}:${info.minor}`, status };
  }

  async function usable(op: string, use: PoolUse): Promise<HealthyPoolStatus> {
    const [lines, blockBytes] = await Promise.all([statusLines(), dataBlockBytes(use)]);
    if (lines === undefined) throw poolMissing(op, name);
    return requireUsable(op, name, parsePoolStatus(name, lines), use, floors, blockBytes);
  }

  /** Only a floor that is a size needs it. */
  async function dataBlockBytes(use: PoolUse): Promise<number> {
    if (use !== 'allocate' || !('bytes' in floors.data)) return 0;
    try {
      return sectorsToBytes(parsePoolTable(name, await dm.table(name)).blockSectors);
    } catch (error) {
      if (hasCode(error, 'not_found')) return 0;
      throw error;
    }
  }

  async function statusLines() {
    try {
      return await dm.status(name);
    } catch (error) {
      if (hasCode(error, 'not_found')) return undefined;
      throw error;
    }
  }

  return {
    name,
    requireUsable: usable,
    look,
    async explain(error, op, use, fallback) {
      const failure = toDmthinError(error, op);
      if (KEPT_CODES.includes(failure.code)) return failure;
      try {
        const { status } = await look(op, use);
        const code = POOL_CODES.includes(failure.code) ? failure.code : fallback;
        return failure.with({ op, what: withInnerOp(failure), poolStatus: status.raw }, code);
      } catch (poolError) {
        if (!hasCode(poolError, 'unavailable', 'resource_exhausted'))
          return failure.with({ op, what: withInnerOp(failure) }, fallback);
        const { device, deviceId, errno } = failure.detail;
        return new DmthinError(
          poolError.code,
          {
            ...poolError.detail,
            what: `${poolError.detail.what} (${withInnerOp(failure)})`,
            device: device ?? name,
            deviceId,
            errno,
          },
          error,
        );
      }
    },
  };
}

function withInnerOp(error: DmthinError): string {
  return `${error.detail.op}: ${error.detail.what}`;
}

/** Executes planned steps: one executor a kind of step, each idempotent. */
import { DmthinError, hasCode } from '../base/errors.ts';
import { createKeyedMutex } from '../base/keyed-mutex.ts';
import { retry } from '../base/retry.ts';
import { bytesToSectors, type DmName } from '../base/units.ts';
import type { BlockIo } from '../dm/block-io.ts';
import { type CreateOptions, devicePath, type DmClient, type DmLine } from '../dm/client.ts';
import { type HealthyPoolStatus, parsePoolStatus } from '../dm/status.ts';
import { thinTable } from '../dm/tables.ts';
import { requireCommitting } from './health.ts';
import { deviceUuid } from './names.ts';
import type { ActivateStep, DeviceStep } from './plan.ts';

type StepKind = DeviceStep['do'];
type Executors = {
  readonly [K in StepKind]: (step: Extract<DeviceStep, { do: K }>, signal?: AbortSignal) => Promise<void>;
};

/** The kernel suspends the active devices of a pool with it, one after another: with hundreds that takes seconds. */
const RESUME_WAIT_MS = 30_000;

export interface ApplyOptions {
  readonly dm: DmClient;
  readonly blocks: BlockIo;
  readonly poolName: DmName;
  readonly storeId: string;
  /** How long `deactivate` and `delete` wait for an open device, and a suspend for a filesystem that is being unmounted. */
  readonly busyTimeoutMs: number;
  /** Called before and after every step; lets tests stop the world at each of them. */
  readonly onStep?: ((point: `${'before' | 'after'} ${StepKind}`) => void) | undefined;
}

/**
 * Applies one step. Errors are those of the dm client, except: `busy` after the whole busy timeout;
 * `already_exists` when a device of that name or id exists and is not this store's.
 */
export type ApplyStep = (step: DeviceStep, signal?: AbortSignal) => Promise<void>;

export function createApply(options: ApplyOptions): ApplyStep {
  const executors = createExecutors(options);
  // The mapped type pairs each kind with its executor; TypeScript cannot see that through a dynamic index.
  const execute = <K extends StepKind>(
    step: Extract<DeviceStep, { do: K }> & { do: K },
    signal?: AbortSignal,
  ) => executors[step.do](step, signal);
  return async (step, signal) => {
    options.onStep?.(`before ${step.do}`);
    await execute(step, signal);
    options.onStep?.(`after ${step.do}`);
  };
}

export async function applyAll(
  apply: ApplyStep,
  steps: readonly DeviceStep[],
  signal?: AbortSignal,
): Promise<void> {
  for (const step of steps) await apply(step, signal);
}

function createExecutors({ dm, blocks, poolName, storeId, busyTimeoutMs }: ApplyOptions): Executors {
  const origins = createKeyedMutex();
  const tell = (message: string): Promise<string> => dm.message(poolName, message);
  const requireCommitted = (lines: readonly DmLine[]): HealthyPoolStatus =>
    requireCommitting('confirm', poolName, parsePoolStatus(poolName, lines));
  const confirm = async (): Promise<void> => void requireCommitted(await dm.status(poolName));

  /**
   * Suspends a device, which freezes a filesystem that is mounted from it. Two things that pass make the kernel say EINVAL:
   * the filesystem is just being unmounted (since Linux 6.8), or the device is taken apart after its last close.
   * @returns false when there is no such device any more.
   */
  const freeze = (name: DmName): Promise<boolean> =>
    ifPresent(
      retry({ codes: ['invalid_argument'], deadlineMs: busyTimeoutMs, pauseMs: 5, maxPauseMs: 100 }, () =>
        dm.suspend(name),
      ),
    );

  /**
   * Snapshots an origin that is still active. Holds the origin's lock, so that no second caller resumes it in between.
   * The origin may be removed at any moment by whoever closes it last: absent means inactive, nothing to freeze.
   */
  async function snapActive(name: DmName, message: string): Promise<void> {
    await origins.run(name, async () => {
      const frozen = await freeze(name);
      try {
        await tell(message);
      } finally {
        if (frozen) await ifPresent(dm.resume(name));
      }
    });
  }

  /**
   * While a pool is suspended, as it is for a moment when it grows, the kernel activates nothing on it and says EINVAL;
   * so it does just before it shows the pool as suspended, when only the new table that waits can be seen.
   * The first time may have been just before it was resumed, so it deserves a second one.
   * @throws unavailable when it stays suspended.
   */
  async function create(name: DmName, options: CreateOptions): Promise<void> {
    let refused = false;
    await retry(
      { codes: ['unavailable'], deadlineMs: RESUME_WAIT_MS, pauseMs: 5, maxPauseMs: 100 },
      async () => {
        try {
          await dm.create(name, options);
        } catch (error) {
          if (!hasCode(error, 'invalid_argument')) throw error;
          const pool = await dm.info(poolName);
          const changing = pool?.suspended === true || pool?.inactive === true;
          if (refused && !changing) throw error;
          refused = true;
          const nextStep = `if nobody is growing or repairing the pool: dmsetup resume ${poolName}`;
          throw error.with({ what: 'the thin pool is suspended', nextStep }, 'unavailable');
        }
      },
    );
  }

  async function activate(step: ActivateStep): Promise<void> {
    const uuid = deviceUuid(storeId, step.id);
    const table = [
      thinTable({ length: bytesToSectors(step.sizeBytes), poolDevice: step.poolDevice, deviceId: step.id }),
    ];
    try {
      await create(step.name, { uuid, table });
    } catch (error) {
      if (!hasCode(error, 'busy')) throw error;
      const info = await dm.info(step.name);
      if (info !== undefined && info.uuid !== uuid) {
        throw error.with(
          {
            what: `a device of this name exists and is not ours (uuid ${JSON.stringify(info.uuid)})`,
            deviceId: step.id,
            nextStep: `see who made it: dmsetup info ${step.name}`,
          },
          'already_exists',
        );
      }
      if (info?.live === true) {
        // Nothing to a device that lives, but for its entry in /dev/mapper.
        await dm.resume(step.name);
        return;
      }
      if (info !== undefined) await dm.remove(step.name);
      await create(step.name, { uuid, table });
    }
  }

  return {
    activate,
    'create-thin': async (step) => {
      await tell(`create_thin ${step.id}`);
      await confirm();
    },
    'create-snap': async (step) => {
      const message = `create_snap ${step.id} ${step.originId}`;
      const status = await dm.messageUnlessPresent(poolName, message, step.originName);
      if (status === undefined) {
        await snapActive(step.originName, message);
        await confirm();
      } else requireCommitted(status);
    },
    flush: async (step) => {
      const info = await dm.info(step.name);
      if (info === undefined) {
        throw new DmthinError('not_found', {
          op: 'flush',
          what: 'the device is not active',
          device: step.name,
        });
      }
      if (info.suspended) await dm.resume(step.name);
      // suspend freezes a mounted filesystem, which puts its journal and caches in order; fsync empties the pool's.
      if (info.openCount > 0) {
        try {
          await freeze(step.name);
        } finally {
          await dm.resume(step.name);
        }
      }
      await blocks.flush(devicePath(step.name));
    },
    deactivate: async (step, signal) => {
      const { name, deferred } = step;
      await retry({ codes: ['busy'], deadlineMs: busyTimeoutMs, pauseMs: 10, maxPauseMs: 200, signal }, () =>
        ifPresent(dm.remove(name, { deferred })),
      );
    },
    discard: (step) => blocks.discard(devicePath(step.name), step.sizeBytes),
    // A device that goes at its last close has no name any more when the pool still holds it open.
    delete: async (step) => {
      await retry({ codes: ['busy'], deadlineMs: busyTimeoutMs, pauseMs: 5, maxPauseMs: 100 }, () =>
        ifPresent(tell(`delete ${step.id}`), 'ENODATA'),
      );
    },
    confirm,
  };
}

/** False when what was acted on turned out to be absent. */
async function ifPresent(action: Promise<unknown>, ...errnos: readonly string[]): Promise<boolean> {
  try {
    await action;
    return true;
  } catch (error) {
    if (!hasCode(error, 'not_found')) throw error;
    if (errnos.length > 0 && !errnos.includes(error.detail.errno ?? '')) throw error;
    return false;
  }
}

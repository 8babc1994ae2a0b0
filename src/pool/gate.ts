/**
 * Whether operations may touch the pool: only after recovery has brought store and pool together.
 *
 * INVARIANTS
 * - One recovery at a time; operations that arrive meanwhile wait for it.
 * - While the pool cannot be used, every operation gets the reason at once, and the gate tries again by itself.
 * - A pool that went away (removed, failed, replaced by another device) closes the gate, so that the devices are
 *   activated anew when it returns.
 */
import { DmthinError, toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { RecoveryReport } from './recovery.ts';
import type { PoolView, ThinPool } from './thin-pool.ts';

export interface Gate {
  /** @throws unavailable (or what recovery said) with the reason and the next step. */
  whenOpen(op: string): Promise<void>;
  readonly state: 'open' | 'recovering' | 'closed';
  /** Why it is closed. */
  readonly reason: DmthinError | undefined;
  /** Looks at the pool now: opens or closes accordingly. Never throws. */
  check(): Promise<void>;
  /**
   * Brings store and pool together again, also when the gate is open; operations wait meanwhile.
   * @throws why the pool cannot be used.
   */
  recover(): Promise<RecoveryReport>;
}

export interface GateOptions {
  readonly pool: ThinPool;
  /**
   * Brings the pool into the kernel where that is our task. Called until the gate has been open once: a pool that goes
   * away later was taken by somebody, perhaps to repair it.
   */
  readonly assemble: () => Promise<void>;
  /** Tells one life of the pool's device `major:minor` from the next: both may come and go between two looks. */
  readonly identify: (device: string) => Promise<string>;
  readonly recover: (view: PoolView) => Promise<RecoveryReport>;
  /** Called after each recovery. */
  readonly onOpen: (report: RecoveryReport) => void;
  readonly log: Log;
}

type Outcome = RecoveryReport | DmthinError;

type State =
  | { readonly is: 'open'; readonly poolIdentity: string }
  | { readonly is: 'recovering'; readonly done: Promise<Outcome> }
  | { readonly is: 'closed'; readonly reason: DmthinError };

export function createGate({ pool, assemble, identify, recover, onOpen, log }: GateOptions): Gate {
  let state: State | undefined;
  let openedOnce = false;

  async function runRecovery(): Promise<Outcome> {
    const before = state;
    try {
      if (!openedOnce) await assemble();
      const view = await pool.look('recovery', 'change');
      const poolIdentity = await identify(view.device);
      const report = await recover(view);
      state = { is: 'open', poolIdentity };
      openedOnce = true;
      log.info({ pool: pool.name, ...report }, 'store and pool are together; the snapshotter is ready');
      onOpen(report);
      return report;
    } catch (error) {
      const reason = toDmthinError(error, 'recovery');
      if (before?.is !== 'closed' || before.reason.message !== reason.message) {
        log.error({ pool: pool.name, error: reason }, 'the pool cannot be used; trying again until it can');
      }
      state = { is: 'closed', reason };
      return reason;
    }
  }

  function beginRecovery(): Promise<Outcome> {
    if (state?.is === 'recovering') return state.done;
    const done = runRecovery();
    state = { is: 'recovering', done };
    return done;
  }

  async function stillThere(before: string): Promise<void> {
    try {
      const { device } = await pool.look('pool check', 'read');
      const now = await identify(device);
      if (now === before) return;
      log.warn({ pool: pool.name, before, now }, 'the pool was replaced; recovering again');
      await beginRecovery();
    } catch (error) {
      const reason = toDmthinError(error, 'pool check');
      log.error(
        { pool: pool.name, error: reason },
        'the pool has gone; operations are refused until it is back',
      );
      state = { is: 'closed', reason };
    }
  }

  return {
    get state() {
      return state?.is ?? 'closed';
    },
    get reason() {
      return state?.is === 'closed' ? state.reason : undefined;
    },
    async whenOpen(op) {
      if (state?.is === 'open') return;
      await beginRecovery();
      const after = current();
      if (after?.is === 'closed') throw after.reason.with({ op });
    },
    async check() {
      if (state?.is === 'open') await stillThere(state.poolIdentity);
      else await beginRecovery();
    },
    async recover() {
      const outcome = await beginRecovery();
      if (outcome instanceof DmthinError) throw outcome;
      return outcome;
    },
  };

  /** Read through a function: the state changes while one awaits, which control flow analysis cannot see. */
  function current(): State | undefined {
    return state;
  }
}

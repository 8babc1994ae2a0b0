/** Working with the device of an active snapshot, also when someone has taken it away. */
import { DmthinError, hasCode } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import { keyLock } from '../pool/locks.ts';
import { snapshotDeviceName } from '../pool/names.ts';
import { planActivate } from '../pool/plan.ts';
import type { ActiveRecord, VisibleRecord } from '../store/records.ts';
import type { Context } from './context.ts';
import { requireVisible } from './lookup.ts';

/** Runs `body` on the device of an active snapshot. */
export type OnDevice = <T>(record: ActiveRecord, body: (name: DmName) => Promise<T>) => Promise<T>;

/**
 * Answers a question about a snapshot, holding no lock as long as its device answers. Where it does not, the snapshot is being
 * made, removed or committed at this moment, or someone has taken the device away: the question is asked again under
 * the key's lock, where one can tell, and only there a device is activated. Else one that is being removed would come back.
 * @throws not_found when there is no such snapshot; errors are those of `ask`, of the dm client and of the pool.
 */
export async function askDevice<T>(
  context: Context,
  op: string,
  key: string,
  ask: (record: VisibleRecord, onDevice: OnDevice) => Promise<T>,
): Promise<T> {
  const record = requireVisible(op, context.store, key);
  try {
    return await ask(record, (active, body) => body(snapshotDeviceName(context.pool.name, active.deviceId)));
  } catch (error) {
    // Our own refusals stand; what the kernel says of a device half-way does not.
    if (error instanceof DmthinError && error.detail.op === op) throw error;
  }
  return context.locks.run(keyLock(key), () =>
    ask(requireVisible(op, context.store, key), (active, body) => withDevice(context, op, active, body)),
  );
}

/**
 * Runs `body` on the device; should it not be there, or not its entry in /dev/mapper, activates it and runs `body` again.
 * The caller holds the key's lock. Errors are those of `body`, of the dm client and of the pool.
 */
export async function withDevice<T>(
  context: Context,
  op: string,
  record: ActiveRecord,
  body: (name: DmName) => Promise<T>,
): Promise<T> {
  const { pool, apply, log } = context;
  const name = snapshotDeviceName(pool.name, record.deviceId);
  try {
    return await body(name);
  } catch (error) {
    if (!hasCode(error, 'not_found')) throw error;
    const { device } = await pool.look(op, 'read');
    await apply(planActivate(name, record, device));
    log.warn(
      { key: record.key, device: name },
      'the device of an active snapshot was not there; activated it again',
    );
    return body(name);
  }
}

/** Working with the device of an active snapshot, also when someone has taken it away. */
import { hasCode } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import { snapshotDeviceName } from '../pool/names.ts';
import { planActivate } from '../pool/plan.ts';
import type { ActiveRecord } from '../store/records.ts';
import type { Context } from './context.ts';

/**
 * Runs `body` on the device; should it not be there, or not its entry in /dev/mapper, activates it and runs `body` again.
 * Errors are those of `body`, of the dm client and of the pool.
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

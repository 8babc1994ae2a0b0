/** Makes sure that the device of an active snapshot is there, should someone have taken it away. */
import { snapshotDeviceName } from '../pool/names.ts';
import { planActivate } from '../pool/plan.ts';
import type { ActiveRecord } from '../store/records.ts';
import type { Context } from './context.ts';

/** Costs one look when the device is there. Errors are those of the dm client and of the pool. */
export async function ensureActivated(context: Context, op: string, record: ActiveRecord): Promise<void> {
  const { dm, pool, apply, log } = context;
  const name = snapshotDeviceName(pool.name, record.deviceId);
  const info = await dm.info(name);
  if (info?.live === true && !info.suspended) return;
  const { device } = await pool.look(op, 'read');
  await apply(planActivate(name, record, device));
  log.warn(
    { key: record.key, device: name },
    'the device of an active snapshot was not there; activated it again',
  );
}

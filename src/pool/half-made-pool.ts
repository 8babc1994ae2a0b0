/** Devices of a pool whose maker died between their creation and their table. */
import type { DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import { poolUuid } from './names.ts';
import { partName } from './provision-disk.ts';
import { ROLES } from './provision-request.ts';

/** Under the pool's lock: nobody who lives is making them. Of others nothing is touched: the uuid says whose they are. */
export async function removeHalfMadePool(pool: DmName, dm: DmClient): Promise<void> {
  const uuid = poolUuid(pool);
  const ours = new Map([[pool, uuid]]);
  for (const role of ROLES) ours.set(partName(pool, role), `${uuid}-${role}`);
  for (const [name, expected] of ours) {
    const info = await dm.info(name);
    if (info !== undefined && !info.live && info.uuid === expected) await dm.remove(name);
  }
}

/**
 * What a crash leaves besides records and their devices: devices of ours that no record needs, and entries of /dev/mapper
 * whose device is gone.
 *
 * INVARIANT: a record is durable before its device is made and forgotten after it is gone. So a device that was there when
 * names were listed and has no record afterwards is nobody's, whatever operations run meanwhile.
 */
import type { KeyedMutex } from '../base/keyed-mutex.ts';
import { dmName, type DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import type { DeviceNodes, NodeEntry } from '../dm/device-nodes.ts';
import type { StoreReader } from '../store/store.ts';
import type { ApplyStep } from './apply.ts';
import { removalLock } from './locks.ts';
import { deviceUuid, parseDeviceName } from './names.ts';

export interface LeftoverOptions {
  readonly store: StoreReader;
  readonly dm: DmClient;
  readonly nodes: Pick<DeviceNodes, 'forget'>;
  readonly apply: ApplyStep;
  readonly locks: KeyedMutex;
  readonly pool: { readonly name: DmName };
}

export interface Listed {
  /** Every device of device-mapper. */
  readonly names: readonly DmName[];
  /** Entries of /dev/mapper that begin with the pool's name. */
  readonly entries: readonly NodeEntry[];
}

type Attempt = (what: string, body: () => Promise<void>) => Promise<void>;

/** Only devices that carry this store's uuid are touched. @returns how many things were removed. */
export async function removeLeftovers(
  { store, dm, nodes, apply, locks, pool }: LeftoverOptions,
  { names, entries }: Listed,
  attempt: Attempt,
): Promise<number> {
  const { storeId } = store.meta();
  const present = new Set<string>(names);
  let count = 0;

  async function removeDevice(name: DmName, uuid: string): Promise<void> {
    const info = await dm.info(name);
    if (info?.uuid !== uuid) return;
    if (info.suspended) await dm.resume(name);
    await apply({ do: 'deactivate', name, deferred: true });
    count += 1;
  }

  for (const name of names) {
    const parsed = parseDeviceName(pool.name, name);
    if (parsed === undefined) continue;
    const { id, role } = parsed;
    const owner = store.deviceOwner(id);
    const uuid = deviceUuid(storeId, id);
    await attempt(`device ${name}`, async () => {
      if (owner === undefined) await removeDevice(name, uuid);
      else if (owner.kind === 'snapshot' && role === 'discard') {
        // A removal that is at work discards under its lock, and takes the device away itself.
        await locks.run(removalLock(owner.id), () => removeDevice(name, uuid));
      } else if (owner.kind === 'snapshot' && role === 'base') await removeDevice(name, uuid);
      else if (owner.kind === 'base' && (role !== 'base' || store.base(owner.key)?.state === 'ready'))
        await removeDevice(name, uuid);
    });
  }
  for (const { name } of entries) {
    if (parseDeviceName(pool.name, name) === undefined || present.has(name)) continue;
    await attempt(`/dev/mapper/${name}`, async () => {
      const known = dmName(name);
      if ((await dm.info(known)) !== undefined) return;
      nodes.forget(known);
      count += 1;
    });
  }
  return count;
}

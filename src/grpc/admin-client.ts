/** The Admin service of a running daemon, for the command line and for tests. */
import type { Inspector } from '../check/inspector.ts';
import { checkFromWire, repairFromWire } from './admin-convert.ts';
import { openChannel } from './channel.ts';
import { requireDaemon } from './client.ts';
import { Admin } from './gen/dmthin/admin/v1/admin_pb.ts';

/** Thousands of devices, and a lock that an operation may hold while a base device is formatted. */
const DEADLINE_MS = 15 * 60_000;

export interface AdminClient extends Inspector {
  close(): void;
}

/** @throws unavailable when nobody answers at `address`; config when it is no socket's address. */
export async function connectAdmin(address: string): Promise<AdminClient> {
  const path = await requireDaemon(address);
  const channel = openChannel(path, { deadlineMs: DEADLINE_MS, signal: undefined });
  const method = Admin.method;
  return {
    check: async () => checkFromWire(await channel.unary(method.check, {})),
    repair: async ({ apply, deleteDevices, keepDevices }) =>
      repairFromWire(
        await channel.unary(method.repair, {
          apply,
          deleteDevices: [...deleteDevices],
          keepDevices: [...keepDevices],
        }),
      ),
    close: () => channel.close(),
  };
}

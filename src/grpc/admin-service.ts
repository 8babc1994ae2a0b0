/** The Admin service: what dmthin's own commands ask of a running daemon. */
import { deviceId } from '../base/units.ts';
import type { Inspector } from '../check/inspector.ts';
import { checkToWire, repairToWire } from './admin-convert.ts';
import { Admin } from './gen/dmthin/admin/v1/admin_pb.ts';
import { type Rpc, unary } from './rpc.ts';

export function createAdminService(inspector: Inspector): readonly Rpc[] {
  const method = Admin.method;
  return [
    unary(method.check, async () => checkToWire(await inspector.check())),
    unary(method.repair, async ({ apply, deleteDevices, keepDevices }) =>
      repairToWire(
        await inspector.repair({
          apply,
          deleteDevices: deleteDevices.map(deviceId),
          keepDevices: keepDevices.map(deviceId),
        }),
      ),
    ),
  ];
}

/** gRPC's standard health service: what probes, and `dmthin doctor`, ask. */
import { DmthinError } from '../base/errors.ts';
import { Snapshots } from './gen/containerd/services/snapshots/v1/snapshots_pb.ts';
import { Health, HealthCheckResponse_ServingStatus } from './gen/grpc/health/v1/health_pb.ts';
import { type Rpc, unary } from './rpc.ts';

/** @param isServing whether calls that need the pool get through now. */
export function createHealthService(isServing: () => boolean): readonly Rpc[] {
  return [
    unary(Health.method.check, async ({ service }) => {
      if (service !== '' && service !== Snapshots.typeName) {
        throw new DmthinError('not_found', {
          op: 'Check',
          what: `there is no service ${JSON.stringify(service)}`,
        });
      }
      const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
      return { status: isServing() ? SERVING : NOT_SERVING };
    }),
  ];
}

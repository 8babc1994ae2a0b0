/** What the Admin service carries between its wire form and ours. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { DmthinError } from '../base/errors.ts';
import { deviceId } from '../base/units.ts';
import type { CheckReport } from '../check/check.ts';
import { type Finding, isFindingKind } from '../check/findings.ts';
import type { Outcome, RepairReport } from '../check/repair.ts';
import * as wire from './gen/dmthin/admin/v1/admin_pb.ts';

export function checkToWire(report: CheckReport): MessageInitShape<typeof wire.CheckResponseSchema> {
  const { poolDevices, findings, ...rest } = report;
  return {
    ...rest,
    findings: findings.map(findingToWire),
    ...(poolDevices === undefined ? {} : { poolDevices }),
  };
}

/** @throws internal when the daemon sent a kind of finding that we do not know. */
export function checkFromWire(message: wire.CheckResponse): CheckReport {
  const { pool, findings, snapshots, bases, poolDevices } = message;
  return { pool, findings: findings.map(findingFromWire), snapshots, bases, poolDevices };
}

export function repairToWire(report: RepairReport): MessageInitShape<typeof wire.RepairResponseSchema> {
  return {
    pool: report.pool,
    applied: report.applied,
    outcomes: report.outcomes.map(({ finding, result, why }) => ({
      finding: findingToWire(finding),
      result: WIRE_RESULT[result],
      ...(why === undefined ? {} : { why }),
    })),
  };
}

export function repairFromWire({ pool, applied, outcomes }: wire.RepairResponse): RepairReport {
  return {
    pool,
    applied,
    outcomes: outcomes.map(({ finding, result, why }): Outcome => {
      if (finding === undefined) throw unknown('an outcome without a finding');
      return { finding: findingFromWire(finding), result: resultFromWire(result), why };
    }),
  };
}

const WIRE_RESULT = {
  would: wire.Result.WOULD,
  repaired: wire.Result.REPAIRED,
  left: wire.Result.LEFT,
} as const satisfies Record<Outcome['result'], wire.Result>;

function resultFromWire(result: wire.Result): Outcome['result'] {
  switch (result) {
    case wire.Result.WOULD:
      return 'would';
    case wire.Result.REPAIRED:
      return 'repaired';
    case wire.Result.LEFT:
      return 'left';
    case wire.Result.RESULT_UNSPECIFIED:
    default:
      throw unknown(`the unknown result ${result}`);
  }
}

function findingToWire({ kind, what, key, deviceId: id, device }: Finding) {
  return {
    kind,
    what,
    ...(key === undefined ? {} : { key }),
    ...(id === undefined ? {} : { deviceId: id }),
    ...(device === undefined ? {} : { device }),
  };
}

function findingFromWire({ kind, what, key, deviceId: id, device }: wire.Finding): Finding {
  if (!isFindingKind(kind)) throw unknown(`the unknown finding ${JSON.stringify(kind)}`);
  return { kind, what, key, deviceId: id === undefined ? undefined : deviceId(id), device };
}

function unknown(what: string): DmthinError {
  return new DmthinError('internal', {
    op: 'read the answer',
    what: `the daemon answered with ${what}`,
    nextStep: 'run the command of the version that the daemon has',
  });
}

/** What `dmthin check` and `dmthin repair` print. Pure. */
import type { CheckReport } from '../check/check.ts';
import { type Finding, FINDINGS } from '../check/findings.ts';
import type { Outcome, RepairReport } from '../check/repair.ts';
import type { Paint } from './terminal.ts';

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

export function formatCheck(report: CheckReport, paint: Paint): string {
  const { pool, findings, snapshots, bases, poolDevices } = report;
  const seen = `${count(snapshots, 'snapshot')}, ${count(bases, 'base')}, ${
    poolDevices === undefined
      ? 'the pool cannot list its devices now'
      : `${count(poolDevices, 'device')} in the pool`
  }`;
  const verdict =
    findings.length === 0
      ? paint('green', 'store and pool agree')
      : paint('red', count(findings.length, 'finding'));
  const lines = findings.flatMap((finding) => [
    `${paint('bold', finding.kind)}  ${finding.what}`,
    `  -> ${remedyOf(finding)}`,
  ]);
  return [...lines, `${pool}: ${verdict} (${seen})`].join('\n');
}

const RESULTS = {
  would: ['yellow', 'would be repaired'],
  repaired: ['green', 'repaired'],
  left: ['red', 'left'],
} as const satisfies Record<Outcome['result'], readonly [string, string]>;

export function formatRepair({ pool, applied, outcomes }: RepairReport, paint: Paint): string {
  if (outcomes.length === 0) return `${pool}: there is nothing to repair`;
  const lines = outcomes.flatMap(({ finding, result, why }) => {
    const [style, words] = RESULTS[result];
    return [
      `${paint(style, words)}: ${paint('bold', finding.kind)}  ${finding.what}`,
      ...(result === 'repaired' ? [] : [`  -> ${why ?? remedyOf(finding)}`]),
    ];
  });
  const of = (result: Outcome['result']): number => outcomes.filter((one) => one.result === result).length;
  const summary = applied
    ? `${pool}: ${of('repaired')} repaired, ${of('left')} left`
    : `${pool}: nothing was changed; --apply would repair ${of('would')} and leave ${of('left')}`;
  return [...lines, summary].join('\n');
}

function remedyOf({ kind, deviceId: id }: Finding): string {
  const { by, remedy } = FINDINGS[kind];
  const words = remedy.replaceAll('ID', String(id ?? 'ID'));
  return by === 'hand' ? `by hand: ${words}` : `dmthin repair: ${words}`;
}

function findingToJson(finding: Finding) {
  const { kind, what, key, deviceId: id, device } = finding;
  return {
    kind,
    what,
    snapshot: key ?? null,
    device_id: id ?? null,
    device: device ?? null,
    remedy: FINDINGS[kind].remedy,
    remedy_by: FINDINGS[kind].by,
  };
}

export function checkToJson({ pool, findings, snapshots, bases, poolDevices }: CheckReport) {
  return {
    ok: findings.length === 0,
    pool,
    snapshots,
    bases,
    pool_devices: poolDevices ?? null,
    findings: findings.map(findingToJson),
  };
}

export function repairToJson({ pool, applied, outcomes }: RepairReport) {
  return {
    ok: outcomes.every(({ result }) => result === 'repaired'),
    pool,
    applied,
    outcomes: outcomes.map(({ finding, result, why }) => ({
      ...findingToJson(finding),
      result,
      why: why ?? null,
    })),
  };
}

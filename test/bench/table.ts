/** The rows as a table for people, each beside its goal. Pure. */
import type { GrowthFigure } from './growth.ts';
import { OPERATIONS, type Operation, type Row, type Target } from './rows.ts';

interface Goal {
  /** At most so many milliseconds p50, or at least so many operations a second by 32 callers. */
  readonly p50Ms?: number;
  readonly perSecond?: number;
}

/** docs/performance.md tells where they come from. */
export const GOALS: Readonly<Partial<Record<Operation, Goal>>> = {
  'Prepare with parent': { p50Ms: 6, perSecond: 250 },
  'Prepare without parent': { p50Ms: 6 },
  View: { p50Ms: 6 },
  Commit: { p50Ms: 15 },
  Remove: { p50Ms: 20, perSecond: 100 },
  'Remove, async_remove': { p50Ms: 5 },
  'Usage of an active snapshot': { p50Ms: 4 },
  Stat: { p50Ms: 3 },
  Mounts: { p50Ms: 3 },
  '16 layers of 1 MB': { p50Ms: 1700 },
};

const HEADING = [
  'operation',
  'callers',
  'builtin',
  'dmthin',
  'direct',
  'floor',
  'goal',
  'builtin ÷ dmthin',
  'without starts',
  'processes',
  'fsyncs',
  'ioctls',
] as const;

/**
 * Markdown, padded so that it reads well as it is. Times are p50 in ms; by many callers, operations a second.
 * @param processStartMs what one process start costs here: the column `without starts` is the ratio with those of the
 *   built-in snapshotter taken off its time.
 */
export function formatTable(rows: readonly Row[], processStartMs?: number): string {
  const lines = OPERATIONS.flatMap((operation) =>
    [...new Set(rows.filter((row) => row.operation === operation).map(({ callers }) => callers))].map(
      (callers) => formatLine(rows, operation, callers, processStartMs),
    ),
  );
  const table = [HEADING, HEADING.map(() => '-'), ...lines];
  const widths = HEADING.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  return table
    .map((line) => {
      const fill = line[0] === '-' ? '-' : ' ';
      return `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(' | ')} |`;
    })
    .join('\n');
}

function formatLine(
  rows: readonly Row[],
  operation: Operation,
  callers: number,
  processStartMs = NaN,
): string[] {
  const row = (target: Target): Row | undefined =>
    rows.find((one) => one.operation === operation && one.target === target && one.callers === callers);
  const many = callers > 1;
  const value = (target: Target): number | undefined =>
    many ? row(target)?.opsPerSecond : row(target)?.p50Ms;
  const figure = (target: Target): string => {
    const found = value(target);
    return found === undefined ? '' : many ? `${found.toFixed(0)}/s` : format(found);
  };
  const goal = GOALS[operation];
  const startsMs = (row('builtin')?.processes ?? NaN) * processStartMs;
  const ratio = (takenOffMs: number): string => {
    const value = ((row('builtin')?.p50Ms ?? NaN) - takenOffMs) / (row('dmthin')?.p50Ms ?? NaN);
    return Number.isNaN(value) ? '' : value.toFixed(1);
  };
  const counted = (pick: (row: Row) => number | null): string =>
    (['builtin', 'direct'] as const)
      .map((target) => row(target) ?? undefined)
      .map((one) => (one === undefined ? undefined : pick(one)))
      .map((count) => (count === undefined || count === null ? '' : format(count)))
      .join(' → ')
      .replace(/^ → $/, '');
  return [
    operation,
    `${callers}`,
    figure('builtin'),
    figure('dmthin'),
    figure('direct'),
    figure('floor'),
    many
      ? goal?.perSecond === undefined
        ? ''
        : `≥ ${goal.perSecond}/s`
      : goal?.p50Ms === undefined
        ? ''
        : `≤ ${goal.p50Ms}`,
    ratio(0),
    many ? '' : ratio(startsMs),
    counted(({ processes }) => processes),
    counted(({ fsyncs }) => fsyncs),
    counted(({ ioctls }) => ioctls),
  ];
}

function format(value: number): string {
  return `${Number(value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2))}`;
}

export function describeFigure({ what, at, value, unit }: GrowthFigure): string {
  return `${what} ${at}: ${value.toFixed(unit === 'ms' ? 2 : 0)} ${unit}`;
}

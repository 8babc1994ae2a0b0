/** What a benchmark run measures, and how samples become rows. Pure. */

export const TARGETS = ['builtin', 'dmthin', 'direct', 'floor'] as const;
/**
 * builtin: containerd's own devmapper snapshotter, asked through containerd. dmthin: dmthin asked through the same
 * containerd. direct: dmthin asked on its own socket. floor: the same ioctls and one fdatasync, by a loop of ours.
 */
export type Target = (typeof TARGETS)[number];

export const OPERATIONS = [
  'Prepare with parent',
  'Prepare without parent',
  'View',
  'Commit',
  'Remove',
  'Remove, async_remove',
  'Usage of an active snapshot',
  'Stat',
  'Mounts',
  '16 layers of 1 MB',
  'pull of Debian, 7 layers',
  'root filesystem: prepare, mount, unmount, remove',
] as const;
export type Operation = (typeof OPERATIONS)[number];

export interface Row {
  readonly operation: Operation;
  readonly target: Target;
  readonly callers: number;
  /** Calls measured. */
  readonly n: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Calls that ended within a second of wall time, all callers together. */
  readonly opsPerSecond: number;
  /** Per call, counted in a pass of their own; null where they were not. */
  readonly processes: number | null;
  readonly fsyncs: number | null;
  readonly ioctls: number | null;
}

export interface Counts {
  readonly processes: number;
  readonly fsyncs: number;
  readonly ioctls: number;
}

/** Samples of one operation on one target by one number of callers, over all rounds. */
export interface Series {
  readonly operation: Operation;
  readonly target: Target;
  readonly callers: number;
  readonly times: number[];
  /** Wall time of the calls in each round, divided by their number. */
  readonly perCall: number[];
}

export interface Recorder {
  series(operation: Operation, target: Target, callers: number): Series;
  readonly all: readonly Series[];
}

export function createRecorder(): Recorder {
  const all: Series[] = [];
  return {
    all,
    series(operation, target, callers) {
      const found = all.find(
        (one) => one.operation === operation && one.target === target && one.callers === callers,
      );
      if (found !== undefined) return found;
      const fresh: Series = { operation, target, callers, times: [], perCall: [] };
      all.push(fresh);
      return fresh;
    },
  };
}

/** The value below which `share` of the samples lie, by the nearest rank. NaN without samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

export function rowOf(series: Series, counts?: Counts): Row {
  const { operation, target, callers, times, perCall } = series;
  return {
    operation,
    target,
    callers,
    n: times.length,
    p50Ms: round(percentile(times, 0.5)),
    p95Ms: round(percentile(times, 0.95)),
    p99Ms: round(percentile(times, 0.99)),
    // The median round, as for everything else: one disturbed round does not decide.
    opsPerSecond: round(1000 / percentile(perCall, 0.5)),
    processes: counts?.processes ?? null,
    fsyncs: counts?.fsyncs ?? null,
    ioctls: counts?.ioctls ?? null,
  };
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

import type { SnapshotPredicate } from './snapshotter.ts';
export function parseFilters(filters: readonly string[]): SnapshotPredicate {
  return () => filters.length === 0;
}

/**
 * containerd's filters as predicates on snapshots. Syntax: filter-parser.ts.
 *
 * Which fields a snapshot has follows the adaptor of containerd's metadata store, the one whose answers its users see:
 * `name`, `kind`, `parent` (absent when there is none) and `labels.KEY`; fields below the first three are ignored.
 *
 * Different from containerd on purpose: what it would evaluate to "nothing matches" without telling anybody is refused
 * (a regular expression that does not compile, text that is not UTF-8), and so are filters too large to evaluate without
 * holding up other callers.
 */
import { parseFilter, type Selector } from './filter-parser.ts';
import { createPatternBudget, type PatternBudget } from './filter-pattern.ts';
import { filterError } from './filter-error.ts';
import type { SnapshotInfo, SnapshotPredicate } from './snapshotter.ts';

/** For all filters of one request together, in UTF-8 bytes, one more for each filter. */
const MAX_FILTER_BYTES = 64 * 1024;

/**
 * The predicate that holds where any of `filters` does; no filter, or an empty one, holds everywhere.
 * @throws invalid_argument when one does not parse, or all together are too costly.
 */
export function parseFilters(filters: readonly string[]): SnapshotPredicate {
  const size = filters.reduce((sum, filter) => sum + Buffer.byteLength(filter) + 1, 0);
  if (size > MAX_FILTER_BYTES) {
    throw filterError(`the filters have ${size} bytes together, more than ${MAX_FILTER_BYTES}`);
  }
  const budget = createPatternBudget();
  const alternatives = filters.map((filter) =>
    filter === '' ? [] : parseFilter(filter).map((selector) => compile(selector, budget)),
  );
  if (alternatives.length === 0) return () => true;
  return (info) => alternatives.some((selectors) => selectors.every((matches) => matches(info)));
}

function compile(selector: Selector, budget: PatternBudget): SnapshotPredicate {
  const field = fieldReader(selector.fieldPath);
  const { operator, value } = selector;
  switch (operator) {
    case 'present':
      return (info) => field(info) !== undefined;
    case '==':
      return (info) => field(info) === value;
    // To these two an absent field is an empty one, as in containerd.
    case '!=':
      return (info) => (field(info) ?? '') !== value;
    case '~=': {
      const matches = budget.compile(value);
      return (info) => matches(field(info) ?? '');
    }
    default:
      return operator satisfies never;
  }
}

/** Reads the field that `path` names; undefined: absent. */
function fieldReader([first, ...rest]: readonly string[]): (info: SnapshotInfo) => string | undefined {
  switch (first) {
    case 'name':
      return (info) => info.name;
    case 'kind':
      return (info) => info.kind;
    case 'parent':
      return (info) => (info.parent === '' ? undefined : info.parent);
    case 'labels': {
      const key = rest.join('.');
      return (info) => (Object.hasOwn(info.labels, key) ? info.labels[key] : undefined);
    }
    case undefined:
    default:
      return () => undefined;
  }
}

/** TOML tables of which nothing is known yet. */

export type Table = Readonly<Record<string, unknown>>;

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** The table at `path` below `table`; an empty one where there is none. */
export function tableAt(table: Table, ...path: readonly string[]): Table {
  let current = table;
  for (const key of path) {
    const next = current[key];
    if (!isTable(next)) return {};
    current = next;
  }
  return current;
}

export function stringAt(table: Table, key: string): string | undefined {
  const value = table[key];
  return typeof value === 'string' ? value : undefined;
}

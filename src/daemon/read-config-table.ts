/** Finds our settings in a TOML file: at its top level, or in the devmapper table of containerd's own file. */
import { parse, TomlError } from 'smol-toml';

export type RawTable = Readonly<Record<string, unknown>>;

export interface ConfigTable {
  readonly values: RawTable;
  /** 1-based line on which `key` is set, or `table.key`; undefined where the text does not show it plainly. */
  readonly lineOf: (key: string) => number | undefined;
}

export type TableResult =
  | { readonly ok: true; readonly table: ConfigTable }
  | { readonly ok: false; readonly what: string; readonly line?: number; readonly hint?: string };

/** Configuration version 2 and 3 of containerd. */
const LONG_ID = 'io.containerd.snapshotter.v1.devmapper';
/** Configuration version 1, where plugins had no type in their names. */
const SHORT_ID = 'devmapper';

/**
 * A file that has containerd's devmapper table is containerd's: only that table is read. Where it has both tables,
 * its `version` says which of them counts, as in containerd.
 */
export function findTable(text: string): TableResult {
  let root: RawTable;
  try {
    root = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const sentence = error.message.split('\n', 1)[0] ?? 'not TOML';
    return {
      ok: false,
      what: sentence.replace('Invalid TOML document: ', 'not valid TOML: '),
      line: error.line,
    };
  }
  const plugins = asTable(root['plugins']);
  if (plugins === undefined && root['proxy_plugins'] === undefined) {
    return { ok: true, table: { values: root, lineOf: lineFinder(text, undefined) } };
  }
  const longFirst = typeof root['version'] === 'number' && root['version'] >= 2;
  for (const id of longFirst ? [LONG_ID, SHORT_ID] : [SHORT_ID, LONG_ID]) {
    const values = asTable(plugins?.[id]);
    if (values !== undefined) return { ok: true, table: { values, lineOf: lineFinder(text, id) } };
  }
  return {
    ok: false,
    what: `is containerd's configuration, without a table [plugins."${LONG_ID}"] or [plugins.${SHORT_ID}]`,
    hint: 'point --config at a file of dmthin\'s own, see "dmthin config default"',
  };
}

function asTable(value: unknown): RawTable | undefined {
  return isTable(value) ? value : undefined;
}

export function isTable(value: unknown): value is RawTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** A bare or quoted TOML key. */
const KEY = `(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))`;
const HEADER = new RegExp(`^\\s*\\[\\s*${KEY}\\s*((?:\\.\\s*${KEY}\\s*)*)\\]`);
const MORE_KEYS = new RegExp(`\\.\\s*${KEY}`, 'g');
const ANY_HEADER = /^\s*\[/;
const ASSIGNMENT = new RegExp(`^\\s*${KEY}\\s*=`);

/** The parser keeps no positions. A key that two lines of the table seem to set gets no line rather than a wrong one. */
function lineFinder(text: string, pluginId: string | undefined): ConfigTable['lineOf'] {
  const found = new Map<string, number | undefined>();
  const note = (path: readonly string[], line: number): void => {
    const key = JSON.stringify(path);
    found.set(key, found.has(key) ? undefined : line);
  };
  let table: readonly string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (ANY_HEADER.test(line)) {
      table = headerPath(line);
      note(table, index + 1);
    } else {
      const key = keyIn(ASSIGNMENT.exec(line));
      if (key !== undefined) note([...table, key], index + 1);
    }
  }
  const prefix = pluginId === undefined ? [] : ['plugins', pluginId];
  return (key) => found.get(JSON.stringify([...prefix, ...key.split('.')]));
}

/** @returns a path that no key of ours is below, for a header that is not plain. */
function headerPath(line: string): readonly string[] {
  const match = HEADER.exec(line);
  const first = keyIn(match);
  if (first === undefined) return ['['];
  return [first, ...[...(match?.[4] ?? '').matchAll(MORE_KEYS)].map((more) => keyIn(more) ?? '')];
}

function keyIn(match: RegExpExecArray | null): string | undefined {
  return match?.[1] ?? match?.[2] ?? match?.[3];
}

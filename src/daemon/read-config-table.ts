/** Finds our settings in a TOML file: at its top level, or in the devmapper table of containerd's own file. */
import { parse, TomlError } from 'smol-toml';

export type RawTable = Readonly<Record<string, unknown>>;

export interface ConfigTable {
  readonly values: RawTable;
  /** 1-based line on which `key` is set; undefined where the text does not show it plainly. */
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

function isTable(value: unknown): value is RawTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** A bare or quoted TOML key. */
const KEY = `(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))`;
const HEADER = /^\s*\[/;
const PLUGIN_HEADER = new RegExp(`^\\s*\\[\\s*plugins\\s*\\.\\s*${KEY}\\s*\\]`);
const ASSIGNMENT = new RegExp(`^\\s*${KEY}\\s*=`);

/** The parser keeps no positions. A key that two lines of the table seem to set gets no line rather than a wrong one. */
function lineFinder(text: string, pluginId: string | undefined): ConfigTable['lineOf'] {
  const lines = text.split('\n');
  const header = lines.findIndex((line) => keyIn(PLUGIN_HEADER, line) === pluginId);
  if (pluginId !== undefined && header === -1) return () => undefined;
  const start = pluginId === undefined ? 0 : header + 1;
  const end = lines.findIndex((line, index) => index >= start && HEADER.test(line));
  const keys = lines.slice(start, end === -1 ? undefined : end).map((line) => keyIn(ASSIGNMENT, line));
  return (key) => {
    const index = keys.indexOf(key);
    return index === -1 || index !== keys.lastIndexOf(key) ? undefined : start + index + 1;
  };
}

function keyIn(pattern: RegExp, line: string): string | undefined {
  const match = pattern.exec(line);
  return match?.[1] ?? match?.[2] ?? match?.[3];
}

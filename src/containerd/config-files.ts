/** containerd's configuration: its file, and those that it imports. Nothing here changes anything. */
import { glob, readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { DmthinError, errnoOf } from '../base/errors.ts';
import { isTable, type Table } from './table.ts';

export const DEFAULT_CONTAINERD_CONFIG = '/etc/containerd/config.toml';

export interface ConfigFile {
  readonly path: string;
  readonly table: Table;
}

/**
 * The file at `path` and then its imports, level after level, in the order in which containerd lays them over each other.
 * A relative import is one from the directory of the file that names it; one with a `*` is a pattern. (1.x takes relative
 * patterns from its working directory, which is nobody's wish.)
 * @returns undefined when there is no file at `path`: containerd then runs with its defaults.
 * @throws config when a file cannot be read, is not TOML, or an import does not exist, all of which end containerd's start.
 */
export async function readConfigFiles(path: string): Promise<readonly ConfigFile[] | undefined> {
  const pending = [path];
  const loaded = new Map<string, ConfigFile>();
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (loaded.has(next)) continue;
    const text = await readText(next);
    if (text === undefined) {
      if (loaded.size === 0) return undefined;
      throw problem(next, 'is imported and does not exist');
    }
    const table = parseText(next, text);
    loaded.set(next, { path: next, table });
    pending.push(...(await resolveImports(next, table['imports'])));
  }
  return [...loaded.values()];
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (errno === 'ENOENT') return undefined;
    throw problem(path, 'cannot be read', errno, error);
  }
}

function parseText(path: string, text: string): Table {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw problem(path, `line ${error.line} is not TOML`, undefined, error);
  }
}

async function resolveImports(parent: string, imports: unknown): Promise<string[]> {
  if (imports === undefined) return [];
  if (!Array.isArray(imports)) throw problem(parent, 'imports is not a list of paths');
  const paths: string[] = [];
  for (const entry of imports as readonly unknown[]) {
    if (typeof entry !== 'string') throw problem(parent, 'imports is not a list of paths');
    const path = normalize(isAbsolute(entry) ? entry : join(dirname(parent), entry));
    if (path.includes('*')) paths.push(...(await Array.fromAsync(glob(path))).sort());
    else paths.push(path);
  }
  return paths;
}

function problem(path: string, what: string, errno?: string, cause?: unknown): DmthinError {
  return new DmthinError(
    'config',
    { op: "read containerd's configuration", what: `${path} ${what}`, errno },
    cause,
  );
}

/**
 * One table of all files, later ones over earlier ones.
 * @param deep containerd 2.0 and later lay plugins' tables over each other key by key; before, a plugin's later table
 * replaces its earlier one whole (containerd #5837, #9982). Proxy plugins are always replaced whole.
 */
export function mergeConfigFiles(files: readonly ConfigFile[], deep: boolean): Table {
  const version = files[0]?.table['version'];
  const merged = files.reduce<Table>((merged, { table }) => {
    const plugins = deep
      ? overlay(tableOf(merged, 'plugins'), tableOf(table, 'plugins'))
      : { ...tableOf(merged, 'plugins'), ...tableOf(table, 'plugins') };
    return {
      ...merged,
      ...table,
      plugins,
      proxy_plugins: { ...tableOf(merged, 'proxy_plugins'), ...tableOf(table, 'proxy_plugins') },
      disabled_plugins: [...listOf(merged, 'disabled_plugins'), ...listOf(table, 'disabled_plugins')],
    };
  }, {});
  // A drop-in's may be lower than the first file's, never higher.
  return { ...merged, version };
}

function overlay(below: Table, above: Table): Table {
  const merged: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const old = merged[key];
    if (isTable(old) && isTable(value)) merged[key] = overlay(old, value);
    else if (Array.isArray(old) && Array.isArray(value))
      merged[key] = [...(old as unknown[]), ...(value as unknown[])];
    else merged[key] = value;
  }
  return merged;
}

function tableOf(table: Table, key: string): Table {
  const value = table[key];
  return isTable(value) ? value : {};
}

function listOf(table: Table, key: string): readonly unknown[] {
  const value = table[key];
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** Reads the configuration: a TOML file, then the command line's flags over it. All problems are reported at once. */
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { errnoOf } from '../base/errors.ts';
import { type Config, DEFAULT_CONFIG_PATH } from './config.ts';
import { CONFIG_KEYS } from './read-config-keys.ts';
import { type ConfigKey, configSchema, type ConfigValues } from './read-config-schema.ts';
import { suggest } from './read-config-suggest.ts';
import { checkLvmName, findContradictions, toPoolSettings } from './read-config-pool-schema.ts';
import { type ConfigTable, findTable, isTable } from './read-config-table.ts';

/** Flags of the command line; each wins over its key in the file. */
export interface ConfigFlags {
  readonly root?: string | undefined;
  readonly address?: string | undefined;
  readonly logLevel?: string | undefined;
}

export interface ConfigProblem {
  /** The file's path, or the flag (`--root`) that brought the value. */
  readonly source: string;
  readonly line?: number | undefined;
  readonly key?: string | undefined;
  /** What is wrong, as a clause that follows the key. */
  readonly what: string;
  readonly hint?: string | undefined;
}

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

const FLAG_OF_KEY = { root_path: '--root', address: '--address', log_level: '--log-level' } as const;

/**
 * Reads `path`, or the default file when it is undefined. The default file may be absent only where defaults can serve:
 * they cannot yet (the pool's name has none), so that is a problem too, with what to do about it.
 */
export async function loadConfig(path: string | undefined, flags: ConfigFlags = {}): Promise<ConfigResult> {
  const file = path ?? DEFAULT_CONFIG_PATH;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    return { ok: false, problems: [unreadable(file, error, path === undefined)] };
  }
  return parseConfig(text, file, flags);
}

function unreadable(file: string, error: unknown, isDefault: boolean): ConfigProblem {
  const code = errnoOf(error) ?? 'unknown error';
  if (code !== 'ENOENT') return { source: file, what: `cannot be read: ${code}` };
  if (!isDefault) return { source: file, what: 'does not exist' };
  return {
    source: file,
    what: 'does not exist, and pool_name and base_image_size have no default',
    hint: `write one with "dmthin config default > ${file}", then set pool_name`,
  };
}

/** @param file only names the text in problems. */
export function parseConfig(text: string, file: string, flags: ConfigFlags = {}): ConfigResult {
  const found = findTable(text);
  if (!found.ok) {
    return { ok: false, problems: [{ source: file, line: found.line, what: found.what, hint: found.hint }] };
  }
  const { table } = found;
  const overrides: Partial<Record<ConfigKey, string>> = {
    ...(flags.root === undefined ? {} : { root_path: flags.root }),
    ...(flags.address === undefined ? {} : { address: flags.address }),
    ...(flags.logLevel === undefined ? {} : { log_level: flags.logLevel }),
  };
  const parsed = v.safeParse(configSchema, { ...table.values, ...overrides });
  const problems = [
    ...unknownKeys(table, file),
    ...contradictions(table, file),
    ...(parsed.issues ?? []).map((issue) => toProblem(issue, table, file, overrides)),
  ];
  if (!parsed.success || problems.length > 0) {
    return { ok: false, problems: problems.toSorted((a, b) => (a.line ?? Infinity) - (b.line ?? Infinity)) };
  }
  return { ok: true, config: toConfig(parsed.output) };
}

function unknownKeys(table: ConfigTable, file: string): ConfigProblem[] {
  const known = Object.keys(CONFIG_KEYS);
  return keysOf(table)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const near = suggest(key, known);
      const what =
        near === undefined ? 'is not a key of dmthin' : `is not a key of dmthin (did you mean ${near}?)`;
      return { source: file, line: table.lineOf(key), key, what };
    });
}

/** Keys of the table, and of a table in it as `table.key`. */
function keysOf({ values }: ConfigTable): string[] {
  const tables = new Set(Object.keys(CONFIG_KEYS).map((key) => key.split('.')[0]));
  return Object.entries(values).flatMap(([key, value]) => {
    if (!tables.has(key) || key in CONFIG_KEYS) return [key];
    return isTable(value) ? Object.keys(value).map((inner) => `${key}.${inner}`) : [];
  });
}

function contradictions(table: ConfigTable, file: string): ConfigProblem[] {
  const pool = table.values['pool'];
  if (!isTable(pool)) return [];
  const lvmName = checkLvmName(table.values['pool_name'], pool['lvm']);
  const named = lvmName === undefined ? [] : [{ key: 'pool_name', what: lvmName }];
  const inTable = findContradictions(pool).map(({ key, what }) => {
    const name = `pool.${key}`;
    return { source: file, line: table.lineOf(name) ?? table.lineOf('pool'), key: name, what };
  });
  return [...inTable, ...named.map((one) => ({ source: file, line: table.lineOf(one.key), ...one }))];
}

function toProblem(
  issue: v.InferIssue<typeof configSchema>,
  table: ConfigTable,
  file: string,
  overrides: Partial<Record<string, string>>,
): ConfigProblem {
  const key = v.getDotPath(issue) ?? undefined;
  const flag = key !== undefined && key in overrides ? FLAGS.get(key) : undefined;
  if (flag !== undefined) return { source: flag, what: issue.message };
  const missing = issue.kind === 'schema' && issue.type === 'object' && issue.received === 'undefined';
  return {
    source: file,
    line: key === undefined ? undefined : table.lineOf(key),
    key,
    what: missing ? 'is required' : issue.message,
  };
}

const FLAGS: ReadonlyMap<string, string> = new Map(Object.entries(FLAG_OF_KEY));

function toConfig(values: ConfigValues): Config {
  return {
    rootPath: values.root_path,
    poolName: values.pool_name,
    baseImageSizeBytes: values.base_image_size,
    asyncRemove: values.async_remove,
    discardBlocks: values.discard_blocks,
    fsType: values.fs_type,
    fsOptions: values.fs_options,
    address: values.address,
    transport: values.transport,
    busyTimeoutMs: values.busy_timeout,
    logLevel: values.log_level,
    pool: toPoolSettings(values.pool),
  };
}

/** One problem as a line of text: `FILE:LINE: key what; hint`. */
export function formatProblem(problem: ConfigProblem): string {
  const place = problem.line === undefined ? problem.source : `${problem.source}:${problem.line}`;
  const hint = problem.hint === undefined ? '' : `; ${problem.hint}`;
  return `${place}: ${problem.key === undefined ? '' : `${problem.key} `}${problem.what}${hint}`;
}

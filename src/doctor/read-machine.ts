/** Facts that the machine's own files tell. */
import { access, constants, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LOCK_FILE } from '../store/store.ts';
import { type LimitFacts, type Program, PROGRAMS, type UdevFacts, UDEV_RULE } from './facts.ts';

/** What a root shell's PATH may lack. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Those of {@link PROGRAMS} that no directory of `path` has. */
export async function readMissingPrograms(path = process.env['PATH'] ?? ''): Promise<Program[]> {
  const directories = [...path.split(':').filter((directory) => directory !== ''), ...SYSTEM_DIRECTORIES];
  const missing: Program[] = [];
  for (const program of PROGRAMS) {
    const found = await Promise.all(
      directories.map((directory) => isThere(join(directory, program), constants.X_OK)),
    );
    if (!found.includes(true)) missing.push(program);
  }
  return missing;
}

/** In the order in which udevd lets a file hide another of the same name: udev(7). */
const RULE_DIRECTORIES = [
  '/etc/udev/rules.d',
  '/run/udev/rules.d',
  '/usr/local/lib/udev/rules.d',
  '/usr/lib/udev/rules.d',
  '/lib/udev/rules.d',
];

export async function readUdev(
  control = '/run/udev/control',
  directories: readonly string[] = RULE_DIRECTORIES,
): Promise<UdevFacts> {
  const runs = await isThere(control, constants.F_OK);
  for (const directory of directories) {
    const rulePath = join(directory, UDEV_RULE);
    const text = await readFile(rulePath, 'utf8').catch(() => undefined);
    // A link to /dev/null masks the rule.
    if (text !== undefined) return { runs, rulePath: text === '' ? undefined : rulePath };
  }
  return { runs, rulePath: undefined };
}

/**
 * Limits of the daemon that holds the store's lock; of this process when `rootPath` is undefined or names no such daemon.
 * @param rootPath the store's directory, when a daemon answers.
 */
export async function readLimits(rootPath: string | undefined, proc = '/proc'): Promise<LimitFacts> {
  const pid = rootPath === undefined ? '' : await readFile(join(rootPath, LOCK_FILE), 'utf8').catch(() => '');
  const daemon = /^\d+\s*$/.test(pid)
    ? await readFile(join(proc, pid.trim(), 'limits'), 'utf8').catch(() => undefined)
    : undefined;
  const text = daemon ?? (await readFile(join(proc, 'self/limits'), 'utf8'));
  return { of: daemon === undefined ? 'self' : 'daemon', openFiles: parseOpenFiles(text) };
}

/** The soft limit in a text of /proc/PID/limits. */
export function parseOpenFiles(text: string): number {
  const soft = /^Max open files\s+(\S+)/m.exec(text)?.[1];
  return soft === undefined || soft === 'unlimited' ? Infinity : Number(soft);
}

function isThere(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

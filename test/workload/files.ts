/** Contents of a snapshot: written at random, and read back as digests. */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Random } from './random.ts';

/** Path below the root -> digest of its contents. */
export type Files = ReadonlyMap<string, string>;

/** Path below the root -> new contents; undefined: removed. */
export type FileChanges = ReadonlyMap<string, Buffer | undefined>;

const NAMES = ['a', 'b', 'c', 'directory/d', 'directory/deep/e'] as const;
const SIZES = [1, 4096, 60_000, 300_000] as const;

function digest(contents: Buffer): string {
  return createHash('sha256').update(contents).digest('hex').slice(0, 24);
}

/** Some files, over what is there or new; now and then one goes. */
export function chooseChanges(before: Files, random: Random): FileChanges {
  const changes = new Map<string, Buffer | undefined>();
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    const name = random.pick(NAMES) ?? 'a';
    changes.set(
      name,
      before.has(name) && random.percent(20) ? undefined : random.bytes(random.pick(SIZES) ?? 1),
    );
  }
  return changes;
}

/** @param sync each file is fsynced, and so are the directories above it: durable afterwards, whoever commits. */
export async function applyChanges(root: string, changes: FileChanges, sync: boolean): Promise<void> {
  for (const [name, contents] of changes) {
    const path = join(root, name);
    if (contents === undefined) await rm(path, { force: true });
    else {
      await mkdir(dirname(path), { recursive: true });
      await using file = await open(path, 'w');
      await file.writeFile(contents);
      if (sync) await file.sync();
    }
    for (let directory = dirname(name); sync; directory = dirname(directory)) {
      await using opened = await open(join(root, directory), 'r');
      await opened.sync();
      if (directory === '.') break;
    }
  }
}

/** @returns what is there after `changes`. */
export function afterChanges(before: Files, changes: FileChanges): Files {
  const files = new Map(before);
  for (const [name, contents] of changes) {
    if (contents === undefined) files.delete(name);
    else files.set(name, digest(contents));
  }
  return files;
}

export async function readFiles(root: string): Promise<Files> {
  const files = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(root.length + 1), digest(await readFile(path)));
  }
  return files;
}

/**
 * @param unsure names that may hold anything.
 * @returns what differs, in words; undefined when nothing does.
 */
export function differenceOf(
  expected: Files,
  found: Files,
  unsure: ReadonlySet<string> = new Set(),
): string | undefined {
  const words = [...new Set([...expected.keys(), ...found.keys()])]
    .filter((name) => !unsure.has(name) && expected.get(name) !== found.get(name))
    .map((name) => `${name}: ${found.get(name) ?? 'missing'} instead of ${expected.get(name) ?? 'nothing'}`);
  return words.length === 0 ? undefined : words.join('; ');
}

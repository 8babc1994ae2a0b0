/** Contents of a snapshot: written at random, and read back as digests. */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Random } from './random.ts';

/** Path below the root -> digest of its contents. */
export type Files = ReadonlyMap<string, string>;

const NAMES = ['a', 'b', 'c', 'directory/d', 'directory/deep/e'] as const;
const SIZES = [1, 4096, 60_000, 300_000] as const;

function digest(contents: Buffer): string {
  return createHash('sha256').update(contents).digest('hex').slice(0, 24);
}

/**
 * Writes some files, over what is there or new, and removes one now and then. Each is fsynced, and so are the directories.
 * @returns what is there afterwards.
 */
export async function changeFiles(root: string, before: Files, random: Random): Promise<Files> {
  const files = new Map(before);
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    const name = random.pick(NAMES) ?? 'a';
    const path = join(root, name);
    if (files.has(name) && random.percent(20)) {
      await rm(path);
      files.delete(name);
    } else {
      const contents = random.bytes(random.pick(SIZES) ?? 1);
      await mkdir(dirname(path), { recursive: true });
      await using file = await open(path, 'w');
      await file.writeFile(contents);
      await file.sync();
      files.set(name, digest(contents));
    }
    await using directory = await open(root, 'r');
    await directory.sync();
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

/** @returns what differs, in words; undefined when nothing does. */
export function differenceOf(expected: Files, found: Files): string | undefined {
  const words = [...new Set([...expected.keys(), ...found.keys()])]
    .filter((name) => expected.get(name) !== found.get(name))
    .map((name) => `${name}: ${found.get(name) ?? 'missing'} instead of ${expected.get(name) ?? 'nothing'}`);
  return words.length === 0 ? undefined : words.join('; ');
}

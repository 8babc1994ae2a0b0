/**
 * What a root filesystem holds after a stack of layers, by the rules of the OCI image specification (layer.md):
 * the yardstick for what a snapshot must contain. It knows nothing of snapshotters.
 */
import { posix } from 'node:path';
import type { TarEntry } from './read-tar.ts';

/** One name in a filesystem. All names of a hard-linked file are listed, each with the same facts. */
export interface TreeEntry {
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'chardev' | 'blockdev' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds; absent for directories, whose times move whenever a later layer adds or removes a name. */
  readonly mtime?: number;
  readonly size: number;
  readonly sha256: string;
  readonly link: string;
  readonly xattrs: Readonly<Record<string, string>>;
  readonly device: readonly [number, number];
  /** Number of names of this file; absent for directories. */
  readonly nlink?: number;
  /** The first, in sort order, of the names that share this file. */
  readonly sameAs?: string;
}

/** Path to file; names that share a file share the object. '' is the root. */
export type Tree = Map<string, TarEntry>;

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** Lays one layer's entries over `tree`. */
export async function applyLayer(
  tree: Tree,
  layer: AsyncIterable<TarEntry> | Iterable<TarEntry>,
): Promise<void> {
  const ofThisLayer = new Set<string>();
  for await (const entry of layer) {
    const base = split(entry.path).base;
    const directory = realDirectory(tree, split(entry.path).directory);
    if (base === OPAQUE) {
      // An opaque directory hides what lower layers put there, never what its own layer brings.
      for (const path of below(tree, directory)) if (!ofThisLayer.has(path)) tree.delete(path);
    } else if (base.startsWith(WHITEOUT)) {
      removeAll(tree, join(directory, base.slice(WHITEOUT.length)));
    } else {
      const path = join(directory, base);
      put(tree, path, entry);
      ofThisLayer.add(path);
    }
  }
}

function put(tree: Tree, path: string, entry: TarEntry): void {
  if (entry.type === 'hardlink') {
    const shared = tree.get(entry.link);
    if (shared === undefined) throw new Error(`${path} links to ${entry.link}, which does not exist`);
    removeAll(tree, path);
    tree.set(path, shared);
    return;
  }
  const isDirectoryUpdate = entry.type === 'directory' && tree.get(path)?.type === 'directory';
  if (!isDirectoryUpdate) removeAll(tree, path);
  tree.set(path, entry);
}

/** Where `directory` leads inside the tree: lower layers may have made a part of it a symlink (`bin` to `usr/bin`). */
function realDirectory(tree: Tree, directory: string): string {
  let real = '';
  for (const part of directory.split('/')) {
    const next = join(real, part);
    const found = tree.get(next);
    if (found?.type !== 'symlink') real = next;
    else
      real = realDirectory(
        tree,
        posix.join(found.link.startsWith('/') ? '' : real, found.link).replace(/^\//, ''),
      );
  }
  if (real !== '' && tree.get(real)?.type !== 'directory')
    throw new Error(`no directory ${real} for a layer's entry`);
  return real;
}

function removeAll(tree: Tree, path: string): void {
  if (tree.get(path)?.type === 'directory') for (const inner of below(tree, path)) tree.delete(inner);
  tree.delete(path);
}

function below(tree: Tree, directory: string): string[] {
  const prefix = directory === '' ? '' : `${directory}/`;
  return [...tree.keys()].filter((path) => path !== directory && path.startsWith(prefix));
}

function split(path: string): { directory: string; base: string } {
  const slash = path.lastIndexOf('/');
  return { directory: slash < 0 ? '' : path.slice(0, slash), base: path.slice(slash + 1) };
}

function join(directory: string, base: string): string {
  return directory === '' ? base : `${directory}/${base}`;
}

/** The tree as a list in path order, ready to be compared or kept as JSON. */
export function listTree(tree: Tree): TreeEntry[] {
  const names = new Map<TarEntry, string[]>();
  const sorted = [...tree].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [path, file] of sorted) names.set(file, [...(names.get(file) ?? []), path]);
  return sorted.map(([path, file]) => {
    const { type, mode, uid, gid, size, sha256, link, xattrs, device } = file;
    if (type === 'hardlink') throw new Error(`${path}: a hard link stands for itself`);
    const facts = { path, type, mode, uid, gid, size, sha256, link, xattrs: sortedRecord(xattrs), device };
    if (type === 'directory') return facts;
    const same = names.get(file) ?? [path];
    return { ...facts, mtime: file.mtime, nlink: same.length, sameAs: same[0] ?? path };
  });
}

function sortedRecord(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Human-readable differences, at most `most` of them; empty when the two lists are equal. */
export function compareTrees(
  expected: readonly TreeEntry[],
  actual: readonly TreeEntry[],
  most = 20,
): string[] {
  const found = new Map(actual.map((entry) => [entry.path, entry]));
  const wanted = new Set(expected.map((entry) => entry.path));
  const differences: string[] = [];
  for (const entry of expected) {
    const other = found.get(entry.path);
    if (other === undefined) differences.push(`missing: ${entry.path}`);
    else if (JSON.stringify(entry) !== JSON.stringify(other)) differences.push(differenceOf(entry, other));
  }
  for (const entry of actual) if (!wanted.has(entry.path)) differences.push(`too much: ${entry.path}`);
  const more = differences.length - most;
  return more > 0 ? [...differences.slice(0, most), `and ${more} more`] : differences;
}

function differenceOf(expected: TreeEntry, actual: TreeEntry): string {
  const other = new Map<string, unknown>(Object.entries(actual));
  const facts = Object.entries(expected)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(other.get(key)))
    .map(([key, value]) => `${key} ${JSON.stringify(value)} is ${JSON.stringify(other.get(key))}`);
  return `differs: ${expected.path}: ${facts.join(', ')}`;
}

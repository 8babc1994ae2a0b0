/** Mounting snapshots as their clients do, and reading what is in them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mount } from '../../../src/snapshotter/snapshotter.ts';
import { readTar } from '../../images/read-tar.ts';
import { applyLayer, listTree, type Tree, type TreeEntry } from '../../images/tree.ts';
import { run } from './run.ts';

export interface Mounted extends AsyncDisposable {
  readonly path: string;
}

/** Mounts what a snapshotter answered to Prepare, View or Mounts; unmounted when disposed of. */
export async function mountSnapshot(mounts: readonly Mount[]): Promise<Mounted> {
  const [mount] = mounts;
  if (mount === undefined || mounts.length !== 1)
    throw new Error(`one mount expected: ${JSON.stringify(mounts)}`);
  const path = await mkdtemp(join(tmpdir(), 'mount-'));
  const options = mount.options.length === 0 ? [] : ['-o', mount.options.join(',')];
  await run(['mount', '-t', mount.type, ...options, mount.source, path]);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await run(['umount', path]);
      await rmdir(path);
    },
  };
}

/** Everything in the directory tree at `path`, read by GNU tar. */
export async function readTree(path: string): Promise<TreeEntry[]> {
  const flags = ['--create', '--format=posix', '--numeric-owner', '--xattrs', '--xattrs-include=*'];
  const child = spawn('tar', [...flags, '--directory', path, '.'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const words = child.stderr.setEncoding('utf8').toArray();
  const tree: Tree = new Map();
  await applyLayer(tree, readTar(child.stdout));
  child.stdout.resume();
  const [code] = await exited;
  if (code !== 0) throw new Error(`tar ended with ${code ?? 'a signal'}: ${(await words).join('')}`);
  return listTree(tree);
}

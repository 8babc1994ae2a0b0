/** Short constructors for the entries of hand-written layers. */
import { createHash } from 'node:crypto';
import type { TarEntry } from './read-tar.ts';

/** An entry with its content, from which both the archive and the expected tree are made. */
export interface LayerEntry extends TarEntry {
  readonly content: Buffer;
}

export interface EntryOptions {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Values as text or bytes. */
  readonly xattrs?: Readonly<Record<string, string | Buffer>>;
}

/** 2024-01-01 00:00:00 UTC: every hand-written entry has it, so that equal recipes give equal bytes. */
export const LAYER_TIME = 1_704_067_200;
const EMPTY = Buffer.alloc(0);

function entry(
  path: string,
  type: TarEntry['type'],
  mode: number,
  options: EntryOptions,
  more: Partial<Pick<LayerEntry, 'content' | 'link' | 'device'>> = {},
): LayerEntry {
  const content = more.content ?? EMPTY;
  const xattrs = Object.entries(options.xattrs ?? {}).map(
    ([name, value]) => [name, Buffer.from(value).toString('base64')] as const,
  );
  return {
    path,
    type,
    mode: options.mode ?? mode,
    uid: options.uid ?? 0,
    gid: options.gid ?? 0,
    mtime: LAYER_TIME,
    size: content.length,
    link: more.link ?? '',
    xattrs: Object.fromEntries(xattrs),
    device: more.device ?? [0, 0],
    sha256: type === 'file' ? createHash('sha256').update(content).digest('hex') : '',
    content,
  };
}

export function directory(path: string, options: EntryOptions = {}): LayerEntry {
  return entry(path, 'directory', 0o755, options);
}

export function file(path: string, content: string | Buffer, options: EntryOptions = {}): LayerEntry {
  return entry(path, 'file', 0o644, options, { content: Buffer.from(content) });
}

/** Another name for `target`, which may come from a lower layer; unpackers apply the owner and mode that it repeats. */
export function hardlink(path: string, target: LayerEntry): LayerEntry {
  const { mode, uid, gid } = target;
  return entry(path, 'hardlink', mode, { uid, gid }, { link: target.path });
}

export function symlink(path: string, target: string, options: EntryOptions = {}): LayerEntry {
  return entry(path, 'symlink', 0o777, options, { link: target });
}

export function fifo(path: string, options: EntryOptions = {}): LayerEntry {
  return entry(path, 'fifo', 0o644, options);
}

export function chardev(
  path: string,
  device: readonly [number, number],
  options: EntryOptions = {},
): LayerEntry {
  return entry(path, 'chardev', 0o600, options, { device });
}

/** Removes `path` of lower layers: an empty file with the reserved prefix (OCI image specification, layer.md). */
export function whiteout(path: string): LayerEntry {
  const slash = path.lastIndexOf('/');
  return entry(`${path.slice(0, slash + 1)}.wh.${path.slice(slash + 1)}`, 'file', 0o644, {});
}

/** Hides everything that lower layers have in `path`. */
export function opaque(path: string): LayerEntry {
  return entry(`${path}/.wh..wh..opq`, 'file', 0o644, {});
}

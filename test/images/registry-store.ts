/**
 * Writes images straight into the storage of Debian's docker-registry (its filesystem driver's layout, version 2), so that
 * a registry in a machine without network or writable disk can serve them read-only, and nothing has to be pushed.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Blob, Image } from './oci.ts';

const ROOT = 'docker/registry/v2';

/** Adds `image` as `repository:tag` to the storage under `directory`. */
export async function storeImage(
  directory: string,
  repository: string,
  tag: string,
  image: Image,
): Promise<void> {
  const root = join(directory, ROOT);
  const repositoryRoot = join(root, 'repositories', repository);
  for (const blob of [image.manifest, ...image.blobs]) await storeBlob(root, blob);
  for (const blob of image.blobs) await storeLink(join(repositoryRoot, '_layers'), blob);
  const manifests = join(repositoryRoot, '_manifests');
  await storeLink(join(manifests, 'revisions'), image.manifest);
  await storeLink(join(manifests, 'tags', tag, 'index'), image.manifest);
  await store(join(manifests, 'tags', tag, 'current', 'link'), image.manifest.digest);
}

async function storeBlob(root: string, blob: Blob): Promise<void> {
  const hex = blob.digest.slice('sha256:'.length);
  await store(join(root, 'blobs', 'sha256', hex.slice(0, 2), hex, 'data'), blob.bytes);
}

async function storeLink(directory: string, blob: Blob): Promise<void> {
  await store(join(directory, 'sha256', blob.digest.slice('sha256:'.length), 'link'), blob.digest);
}

async function store(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

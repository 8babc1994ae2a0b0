/** Layers to an OCI image: compressed blobs, configuration and manifest (OCI image specification 1.0). */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { LayerEntry } from './entries.ts';
import { encodeEntry, TAR_END } from './tar.ts';

export interface Blob {
  /** `sha256:` and hex. */
  readonly digest: string;
  readonly bytes: Buffer;
}

export interface Layer {
  readonly blob: Blob;
  /** Digest of the uncompressed archive. */
  readonly diffId: string;
}

export interface ImageConfig {
  readonly cmd: readonly string[];
  readonly env?: readonly string[];
}

export interface Image {
  readonly manifest: Blob;
  /** Configuration and layers. */
  readonly blobs: readonly Blob[];
  /** containerd's name for the snapshot of all layers (OCI image specification, config.md, ChainID). */
  readonly chainId: string;
}

const MEDIA = 'application/vnd.oci.image';
export const MANIFEST_TYPE = `${MEDIA}.manifest.v1+json`;
/** Go's names for Node's. */
const ARCHITECTURE = new Map([
  ['x64', 'amd64'],
  ['arm64', 'arm64'],
]).get(process.arch);

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function blobOf(bytes: Buffer): Blob {
  return { digest: digestOf(bytes), bytes };
}

/** One layer from a finished tar archive. */
export function layerOfTar(tar: Buffer): Layer {
  return { blob: blobOf(gzipSync(tar, { level: 1 })), diffId: digestOf(tar) };
}

/** One layer from hand-written entries. */
export function layerOf(entries: readonly LayerEntry[]): Layer {
  return layerOfTar(Buffer.concat([...entries.map((entry) => encodeEntry(entry, entry.content)), TAR_END]));
}

export function imageOf(layers: readonly Layer[], config: ImageConfig): Image {
  if (ARCHITECTURE === undefined) throw new Error(`no images are built for ${process.arch}`);
  const configBlob = jsonBlob({
    architecture: ARCHITECTURE,
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...(config.env ?? [])],
      Cmd: config.cmd,
    },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
  });
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor(`${MEDIA}.config.v1+json`, configBlob),
    layers: layers.map((layer) => descriptor(`${MEDIA}.layer.v1.tar+gzip`, layer.blob)),
  });
  return { manifest, blobs: [configBlob, ...layers.map((layer) => layer.blob)], chainId: chainIdOf(layers) };
}

function chainIdOf(layers: readonly Layer[]): string {
  return layers
    .map((layer) => layer.diffId)
    .reduce((chain, diffId) => digestOf(Buffer.from(`${chain} ${diffId}`)));
}

function jsonBlob(value: unknown): Blob {
  return blobOf(Buffer.from(JSON.stringify(value)));
}

function descriptor(mediaType: string, blob: Blob): object {
  return { mediaType, digest: blob.digest, size: blob.bytes.length };
}

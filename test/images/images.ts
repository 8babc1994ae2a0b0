/** The test images: what is in each, and the trees that their snapshots must show. */
import { readFile } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { debianLayer } from './debian.ts';
import { directory, file, type LayerEntry, symlink } from './entries.ts';
import { featureLayers } from './feature-layers.ts';
import { type Image, type ImageConfig, imageOf, type Layer, layerOf, layerOfTar } from './oci.ts';
import { readTar } from './read-tar.ts';
import { applyLayer, listTree, type Tree, type TreeEntry } from './tree.ts';

export const HELLO = 'Hello from a container on a thin device!';
export const IMAGE_NAMES = ['hello', 'pause', 'features', 'debian', 'many-layers'] as const;
export type ImageName = (typeof IMAGE_NAMES)[number];
export const MANY_LAYERS = 128;

export interface TestImage {
  readonly name: ImageName;
  readonly image: Image;
  readonly layerCount: number;
  readonly tree: readonly TreeEntry[];
}

/** Programs that tests call by name in the images that stand on busybox. */
const APPLETS = ['sh', 'cat', 'echo', 'sleep', 'ls', 'dd', 'sync', 'true', 'touch', 'rm', 'mkdir'];

function busyboxLayer(busybox: Buffer): LayerEntry[] {
  const rootDirectories = ['bin', 'dev', 'etc', 'proc', 'sys'].map((path) => directory(path));
  return [
    ...rootDirectories,
    directory('tmp', { mode: 0o1777 }),
    file('bin/busybox', busybox, { mode: 0o755 }),
    ...APPLETS.map((name) => symlink(`bin/${name}`, 'busybox')),
    file('etc/passwd', 'root:x:0:0:root:/:/bin/sh\n'),
  ];
}

/** A filesystem as a snapshotter hands it out for the first layer: a root directory and nothing else. */
function emptyTree(): Tree {
  return new Map([['', directory('')]]);
}

/** Each layer adds a file, and rewrites one that all of them share. */
function manyLayers(): LayerEntry[][] {
  return Array.from({ length: MANY_LAYERS - 1 }, (_, index) => [
    ...(index === 0 ? [directory('layers')] : []),
    file(`layers/${index + 2}`, `made by layer ${index + 2}\n`),
    file('layers/newest', `${index + 2}\n`),
  ]);
}

/** Builds every test image from this machine's busybox and Debian's archive at `debianTarPath`. */
export async function buildImages(busybox: Buffer, debianTarPath: string): Promise<TestImage[]> {
  const bottom = busyboxLayer(busybox);
  const shell = { cmd: ['/bin/sh'] };
  const debianTar = await readFile(debianTarPath);
  const debianTree = emptyTree();
  await applyLayer(debianTree, readTar(createReadStream(debianTarPath)));
  return [
    await testImage('hello', { cmd: ['/bin/echo', HELLO] }, [], emptyTree(), [bottom]),
    // What holds a pod's namespaces open.
    await testImage('pause', { cmd: ['/bin/sleep', '1000000'] }, [], emptyTree(), [bottom]),
    await testImage('features', shell, [], emptyTree(), [bottom, ...featureLayers()]),
    await testImage('debian', { cmd: ['/bin/bash'] }, [layerOfTar(debianTar)], debianTree, [
      debianLayer(),
      ...featureLayers(),
    ]),
    await testImage('many-layers', { cmd: ['/bin/cat', '/layers/newest'] }, [], emptyTree(), [
      bottom,
      ...manyLayers(),
    ]),
  ];
}

/** An image of `baseLayers`, whose content is `baseTree`, and hand-written layers on top. */
async function testImage(
  name: ImageName,
  config: ImageConfig,
  baseLayers: readonly Layer[],
  baseTree: Tree,
  written: readonly (readonly LayerEntry[])[],
): Promise<TestImage> {
  for (const layer of written) await applyLayer(baseTree, layer);
  const layers = [...baseLayers, ...written.map((entries) => layerOf(entries))];
  return { name, image: imageOf(layers, config), layerCount: layers.length, tree: listTree(baseTree) };
}

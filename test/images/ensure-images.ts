/**
 * The built test images in `.cache/images/KEY/`, where KEY is a digest of everything they are made from:
 * `registry/` is the storage of a docker-registry that serves them, `NAME.json` the tree that a snapshot of NAME must show.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ensureDebianTar, exists, readBusybox } from './debian.ts';
import { buildImages, IMAGE_NAMES, type ImageName } from './images.ts';
import { storeImage } from './registry-store.ts';
import type { TreeEntry } from './tree.ts';

/** Repository and tag of an image in the registry. */
export const REPOSITORY_PREFIX = 'dmthin/';
export const TAG = 'test';

export interface ImageSet {
  readonly registryDirectory: string;
  readonly facts: Readonly<Record<ImageName, ImageFacts>>;
  /** The tree that the image's topmost snapshot must show. */
  readTree(name: ImageName): Promise<TreeEntry[]>;
}

export interface ImageFacts {
  readonly digest: string;
  /** Name of the topmost snapshot. */
  readonly chainId: string;
  readonly layerCount: number;
}

const CACHE = join(import.meta.dirname, '../../.cache/images');

/** Builds the images unless the cache has them. Safe to call from several processes: the first to finish wins. */
export async function ensureImages(cacheDirectory: string = CACHE): Promise<ImageSet> {
  const debianTarPath = await ensureDebianTar(cacheDirectory);
  const directory = join(cacheDirectory, await recipeKey(debianTarPath));
  if (!(await exists(directory))) await build(directory, debianTarPath);
  return openImages(directory);
}

async function build(directory: string, debianTarPath: string): Promise<void> {
  const unfinished = `${directory}.${process.pid}`;
  try {
    await mkdir(unfinished, { recursive: true });
    const facts: Partial<Record<ImageName, ImageFacts>> = {};
    for (const { name, image, layerCount, tree } of await buildImages(await readBusybox(), debianTarPath)) {
      await storeImage(join(unfinished, 'registry'), `${REPOSITORY_PREFIX}${name}`, TAG, image);
      await writeFile(join(unfinished, `${name}.json`), JSON.stringify(tree));
      facts[name] = { digest: image.manifest.digest, chainId: image.chainId, layerCount };
    }
    await writeFile(join(unfinished, 'facts.json'), JSON.stringify(facts));
    await rename(unfinished, directory).catch(async (error: unknown) => {
      if (!(await exists(directory))) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function openImages(directory: string): Promise<ImageSet> {
  const facts = JSON.parse(await readFile(join(directory, 'facts.json'), 'utf8')) as ImageSet['facts'];
  for (const name of IMAGE_NAMES) if (!(name in facts)) throw new Error(`${directory} lacks image ${name}`);
  return {
    registryDirectory: join(directory, 'registry'),
    facts,
    async readTree(name) {
      return JSON.parse(await readFile(join(directory, `${name}.json`), 'utf8')) as TreeEntry[];
    },
  };
}

/** Changes with the builder's sources, the programs that go into the images, and the machine's architecture. */
async function recipeKey(debianTarPath: string): Promise<string> {
  const hash = createHash('sha256').update(`${process.arch} ${process.version} ${basename(debianTarPath)}`);
  const sources = (await readdir(import.meta.dirname)).filter((name) => name.endsWith('.ts')).sort();
  for (const name of sources) hash.update(await readFile(join(import.meta.dirname, name)));
  return hash
    .update(await readBusybox())
    .digest('hex')
    .slice(0, 16);
}

if (import.meta.main) {
  const images = await ensureImages();
  console.log(images.registryDirectory);
  for (const name of IMAGE_NAMES) {
    const { digest, layerCount } = images.facts[name];
    console.log(`${REPOSITORY_PREFIX}${name}:${TAG}  ${digest}  ${layerCount} layers`);
  }
}

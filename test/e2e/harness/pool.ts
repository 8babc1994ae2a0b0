/** The thin pool of a test node, and what it says of its own use. */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run } from './run.ts';

export const DMTHIN = join(import.meta.dirname, '../../../bin/dmthin');

export interface PoolUsage {
  readonly dataBlocks: number;
  readonly metadataBlocks: number;
  /** Ids of all thin devices in the pool's metadata, in order. */
  readonly deviceIds: readonly number[];
}

export interface Pool extends AsyncDisposable {
  readonly name: string;
  readUsage(): Promise<PoolUsage>;
}

/** Makes a pool in two sparse files below `directory`, as its users do. Disposed of, devices and all, without asking. */
export async function createPool(name: string, directory: string, dataSize = '4G'): Promise<Pool> {
  await mkdir(directory, { recursive: true });
  await run([DMTHIN, 'pool', 'create', name, '--loop-dir', directory, '--data-size', dataSize]);
  return { name, readUsage: () => readPoolUsage(name), [Symbol.asyncDispose]: () => tearDown(name) };
}

/** Through the kernel's own tools, so that nothing under test is asked about itself. */
export async function readPoolUsage(name: string): Promise<PoolUsage> {
  const status = (await run(['dmsetup', 'status', name])).trim().split(' ');
  const used = (field: number) => Number(status[field]?.split('/')[0]);
  return { metadataBlocks: used(4), dataBlocks: used(5), deviceIds: await listDeviceIds(name) };
}

/** thin_ls reads a metadata snapshot, so that the pool may be in use. */
async function listDeviceIds(name: string): Promise<number[]> {
  const [metadata] = await backingDevices(name);
  await run(['dmsetup', 'message', name, '0', 'reserve_metadata_snap']);
  try {
    const text = await run(['thin_ls', '--no-headers', '--metadata-snap', '-o', 'DEV', metadata]);
    return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [Number(line)]));
  } finally {
    await run(['dmsetup', 'message', name, '0', 'release_metadata_snap']);
  }
}

/** Metadata and data device of the pool. */
async function backingDevices(name: string): Promise<[string, string]> {
  const [, , , metadata = '', data = ''] = (await run(['dmsetup', 'table', name])).trim().split(' ');
  const pathOf = async (number: string): Promise<string> =>
    `/dev/${basename((await run(['readlink', '-f', `/sys/dev/block/${number}`])).trim())}`;
  return [await pathOf(metadata), await pathOf(data)];
}

/** Names of the device-mapper devices that stand on the pool. */
export async function devicesOn(name: string): Promise<string[]> {
  const tables = (await run(['dmsetup', 'table', '--target', 'thin'])).split('\n');
  const info = await run([
    'dmsetup',
    'info',
    '-c',
    '--noheadings',
    '--separator',
    ':',
    '-o',
    'major,minor',
    name,
  ]);
  return tables.flatMap((line) => {
    const match = /^(.+): \d+ \d+ thin (\d+:\d+) /.exec(line);
    return match?.[1] !== undefined && match[2] === info.trim() ? [match[1]] : [];
  });
}

async function tearDown(name: string): Promise<void> {
  for (const device of await devicesOn(name)) await run(['dmsetup', 'remove', '--retry', device]);
  const backing = await backingDevices(name);
  await run(['dmsetup', 'remove', '--retry', name]);
  for (const device of backing) await run(['losetup', '--detach', device]);
}

/** What stands on the one disk: a slice for the pool's data, one for its metadata, one for the filesystem with the store. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../src/base/log.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { bytes, dmName, type DmName, sectors } from '../../src/base/units.ts';
import type { Config } from '../../src/daemon/config.ts';
import { type DmClient, devicePath } from '../../src/dm/client.ts';
import { linearTable, poolTable } from '../../src/dm/tables.ts';
import { poolUuid } from '../../src/pool/names.ts';
import { MiB, removePoolAndDevices, serve, type Serving, testConfig } from '../guest/node.ts';
import { mountAt, unmount } from '../workload/mount-calls.ts';

const SLICES = { metadata: 4 * MiB, store: 32 * MiB, data: 160 * MiB } as const;
type Slice = keyof typeof SLICES;

export const DISK_BYTES = Object.values(SLICES).reduce((sum, size) => sum + size, 0);

export const POOL_NAME: DmName = dmName('power-cut');

export interface Machine extends AsyncDisposable {
  readonly rootPath: string;
  /** Starts the daemon in this process. */
  serve(log: Log, settings?: Partial<Config>): Promise<Serving>;
}

export interface MachineOptions {
  readonly dm: DmClient;
  readonly disk: string;
}

/**
 * Makes the slices of `disk` known, for the time of `body`.
 * @param body is given the slices' devices.
 */
export async function withSlices<T>(
  { dm, disk }: MachineOptions,
  body: (slices: Readonly<Record<Slice, string>>) => Promise<T>,
): Promise<T> {
  await using stack = new AsyncDisposableStack();
  const paths: Record<Slice, string> = { metadata: '', store: '', data: '' };
  let start = 0;
  for (const slice of ['metadata', 'store', 'data'] as const) {
    const name = dmName(`slice-${slice}`);
    const length = sectors(SLICES[slice] / 512);
    await dm.create(name, { uuid: '', table: [linearTable(length, disk, sectors(start))] });
    stack.defer(async () => {
      await dm.remove(name);
    });
    paths[slice] = devicePath(name);
    start += length;
  }
  return await body(paths);
}

/** Once, on an empty disk. */
export async function formatStore(device: string): Promise<void> {
  const options = ['-q', '-F', '-b', '4096', '-J', 'size=4', '-E', 'nodiscard,lazy_itable_init=0'];
  await runChecked(runProcess, 'mkfs.ext4', [...options, device]);
}

/** Mounts the store's filesystem and brings the pool into the kernel, as a node does when it starts. */
export async function startMachine(dm: DmClient, slices: Readonly<Record<Slice, string>>): Promise<Machine> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'power-cut-'));
  stack.defer(() => rm(directory, { recursive: true }));
  const store = join(directory, 'store');
  await mkdir(store);
  await mountAt({ type: 'ext4', source: slices.store, target: '', options: [] }, store);
  stack.defer(() => unmount(store));
  const table = poolTable({
    length: sectors(SLICES.data / 512),
    metadataDevice: slices.metadata,
    dataDevice: slices.data,
    blockSectors: sectors(128),
    lowWaterBlocks: 0,
    features: [],
  });
  await dm.create(POOL_NAME, { uuid: poolUuid(POOL_NAME), table: [table] });
  stack.defer(() => removePoolAndDevices(dm, POOL_NAME));
  const rootPath = join(store, 'root');
  const config: Config = {
    ...testConfig(directory, POOL_NAME),
    rootPath,
    baseImageSizeBytes: bytes(16 * MiB),
  };
  const owned = stack.move();
  return {
    rootPath,
    // The client is ours, and outlives the daemon.
    serve: (log, settings) =>
      serve({ ...config, ...settings }, { log, dm: { ...dm, close: () => Promise.resolve() } }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

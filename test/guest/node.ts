/** A node in small: disks, a pool, the daemon in this process, and the programs that a node has. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { retry } from '../../src/base/retry.ts';
import { bytes, dmName, sectors, type DmName } from '../../src/base/units.ts';
import type { Config } from '../../src/daemon/config.ts';
import { startDaemon, type Daemon, type DaemonOptions } from '../../src/daemon/daemon.ts';
import type { DmClient } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { parsePoolStatus, type HealthyPoolStatus } from '../../src/dm/status.ts';
import { poolTable, type PoolFeature } from '../../src/dm/tables.ts';
import { connect, type SnapshotsClient } from '../../src/grpc/client.ts';
import { poolUuid } from '../../src/pool/names.ts';
import { loopFilePaths } from '../../src/pool/provision-facts.ts';
import type { Mount } from '../../src/snapshotter/snapshotter.ts';
import { createLoopDevices } from './loop-devices.ts';
import { NO_POOL } from '../fakes/pool-settings.ts';

export const MiB = 1024 * 1024;

export interface NodeOptions {
  readonly dataBytes?: number;
  readonly metadataBytes?: number;
  readonly features?: readonly PoolFeature[];
  /** The pool is one that dmthin made: uuid and files are named so, generations are counted in it, and it can grow. */
  readonly ownPool?: boolean;
}

export interface TestNode extends AsyncDisposable {
  readonly poolName: DmName;
  readonly dm: DmClient;
  readonly directory: string;
  readonly config: (overrides?: Partial<Config>) => Config;
  /** Starts the daemon in this process and connects to it. */
  serve(overrides?: Partial<Config>, options?: Partial<DaemonOptions>): Promise<Serving>;
  createPool(features?: readonly PoolFeature[]): Promise<void>;
  removePool(): Promise<void>;
  poolStatus(): Promise<HealthyPoolStatus>;
  /** The file behind the pool's data device. */
  readonly dataFile: string;
}

export interface Serving extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly client: SnapshotsClient;
}

/** Store and socket in `directory`. */
export function testConfig(directory: string, poolName: DmName): Config {
  return {
    rootPath: join(directory, 'root'),
    poolName,
    baseImageSizeBytes: bytes(64 * MiB),
    asyncRemove: false,
    discardBlocks: false,
    fsType: 'ext4',
    fsOptions: '',
    address: join(directory, 'dmthin.sock'),
    transport: 'ioctl',
    busyTimeoutMs: 2000,
    logLevel: 'info',
    pool: NO_POOL,
  };
}

let count = 0;

export async function createNode(options: NodeOptions = {}): Promise<TestNode> {
  const { dataBytes = 512 * MiB, metadataBytes = 8 * MiB, features = [], ownPool = false } = options;
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'node-'));
  stack.defer(() => rm(directory, { recursive: true }));
  const loops = stack.use(await createLoopDevices());
  count += 1;
  const poolName = dmName(`test${process.pid}-${count}`);
  const files = ownPool ? loopFilePaths(poolName, '') : undefined;
  const metadataDevice = await loops.attach(metadataBytes, files?.metadata);
  const dataDevice = await loops.attach(dataBytes, files?.data);
  const dm = await openDmClient('auto', { run: runProcess, log: silentLog });
  stack.defer(() => dm.close());

  async function createPool(poolFeatures: readonly PoolFeature[] = features): Promise<void> {
    const table = poolTable({
      length: sectors(dataBytes / 512),
      metadataDevice,
      dataDevice,
      blockSectors: sectors(128),
      lowWaterBlocks: 0,
      features: poolFeatures,
    });
    await dm.create(poolName, { uuid: ownPool ? poolUuid(poolName) : '', table: [table] });
  }

  async function removePool(): Promise<void> {
    await removePoolAndDevices(dm, poolName);
  }

  await createPool();
  stack.defer(removePool);

  const config = (overrides: Partial<Config> = {}): Config => ({
    ...testConfig(directory, poolName),
    ...overrides,
  });

  const owned = stack.move();
  return {
    poolName,
    dm,
    directory,
    config,
    createPool,
    removePool,
    dataFile: (
      await readFile(`/sys/block/${dataDevice.slice('/dev/'.length)}/loop/backing_file`, 'utf8')
    ).trim(),
    serve: (overrides, daemonOptions) => serve(config(overrides), daemonOptions),
    async poolStatus() {
      const status = parsePoolStatus(poolName, await dm.status(poolName, { noFlush: false }));
      if (status.kind !== 'ok') throw new Error(status.raw);
      return status;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A layer's device goes by itself, at any moment, and for a moment more holds the pool open. */
export async function removePoolAndDevices(dm: DmClient, poolName: DmName): Promise<void> {
  for (const { name } of await dm.list()) {
    if (!name.startsWith(`${poolName}-`)) continue;
    try {
      await dm.remove(name);
    } catch (error) {
      if (!hasCode(error, 'not_found')) throw error;
    }
  }
  await retry({ codes: ['busy'], deadlineMs: 5000, pauseMs: 5, maxPauseMs: 100 }, () => dm.remove(poolName));
}

/** Starts the daemon in this process and connects to it. */
export async function serve(config: Config, options: Partial<DaemonOptions> = {}): Promise<Serving> {
  const daemon = await startDaemon(config, { log: silentLog, version: 'test', ...options });
  const client = await connect(daemon.address);
  return {
    daemon,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await daemon.stop();
    },
  };
}

/** Mounts what the snapshotter answered, as containerd does, for the time of `body`. */
export async function mounted<T>(
  mounts: readonly Mount[],
  body: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'mounted-'));
  const [mount] = mounts;
  if (mount === undefined) throw new Error('no mount');
  const options = mount.options.length === 0 ? [] : ['-o', mount.options.join(',')];
  await runChecked(runProcess, 'mount', ['-t', mount.type, ...options, mount.source, directory]);
  try {
    return await body(directory);
  } finally {
    await runChecked(runProcess, 'umount', [directory]);
    await rm(directory, { recursive: true });
  }
}

/** A node whose pool stands on disks that can be made to fail and be healed, with everything where an operator looks for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { bytes, dmName, type DmName, sectors } from '../../src/base/units.ts';
import { DEFAULT_ADDRESS } from '../../src/daemon/config.ts';
import { devicePath, type DmClient, type DmLine } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { parsePoolStatus, type PoolStatus } from '../../src/dm/status.ts';
import { poolTable, type PoolFeature } from '../../src/dm/tables.ts';
import { NO_POOL } from '../fakes/pool-settings.ts';
import { createLoopDevices } from './loop-devices.ts';
import { MiB, removePoolAndDevices, serve, type Serving } from './node.ts';

/** What is wrong with a disk: it refuses writes, or everything. */
export type Fault = 'writes fail' | 'gone';

export interface FaultyDisk {
  readonly path: string;
  /** I/O under way ends first. */
  become(fault: Fault): Promise<void>;
  /** Everything works again, and what was written before is there. @param sizeBytes a larger size. */
  heal(sizeBytes?: number): Promise<void>;
}

export interface FaultyNode extends AsyncDisposable {
  readonly pool: DmName;
  readonly dm: DmClient;
  readonly directory: string;
  readonly data: FaultyDisk;
  readonly metadata: FaultyDisk;
  /** Starts the daemon at its usual address. */
  serve(): Promise<Serving>;
  status(): Promise<PoolStatus>;
  createPool(): Promise<void>;
  /** Takes the pool and the devices of its snapshots away. */
  removePool(): Promise<void>;
  /** Loads another table into the live pool. */
  reload(features: readonly PoolFeature[]): Promise<void>;
}

export interface FaultyNodeOptions {
  readonly dataBytes?: number;
  readonly metadataBytes?: number;
  readonly features?: readonly PoolFeature[];
}

/** The name that docs/recovery.md uses. */
const POOL = dmName('dmthin-pool');
/** Disks may grow to so much. */
const ROOM_BYTES = 1024 * MiB;

export async function createFaultyNode(options: FaultyNodeOptions = {}): Promise<FaultyNode> {
  const { dataBytes = 256 * MiB, metadataBytes = 8 * MiB, features = [] } = options;
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'faulty-'));
  stack.defer(() => rm(directory, { recursive: true }));
  const loops = stack.use(await createLoopDevices());
  const dm = await openDmClient('auto', { run: runProcess, log: silentLog });
  stack.defer(() => dm.close());

  async function createDisk(name: DmName, sizeBytes: number): Promise<FaultyDisk> {
    const below = await loops.attach(ROOM_BYTES);
    let length = sectors(sizeBytes / 512);
    const line = (target: string, params: string): DmLine => ({ start: sectors(0), length, target, params });
    await dm.create(name, { uuid: '', table: [line('linear', `${below} 0`)] });
    stack.defer(async () => {
      await dm.remove(name);
    });
    const change = async (table: DmLine): Promise<void> => {
      await dm.load(name, [table]);
      await dm.suspend(name, { noFlush: true, skipLockfs: true });
      await dm.resume(name);
    };
    return {
      path: devicePath(name),
      become: (fault) =>
        change(fault === 'gone' ? line('error', '') : line('flakey', `${below} 0 0 3600 1 error_writes`)),
      async heal(largerBytes = sizeBytes) {
        length = sectors(largerBytes / 512);
        await change(line('linear', `${below} 0`));
      },
    };
  }

  const metadata = await createDisk(dmName('vg-metadata'), metadataBytes);
  const data = await createDisk(dmName('vg-data'), dataBytes);
  const table = (poolFeatures: readonly PoolFeature[]): DmLine =>
    poolTable({
      length: sectors(dataBytes / 512),
      metadataDevice: metadata.path,
      dataDevice: data.path,
      blockSectors: sectors(128),
      lowWaterBlocks: 0,
      features: poolFeatures,
    });
  async function createPool(): Promise<void> {
    await dm.create(POOL, { uuid: '', table: [table(features)] });
  }

  async function removePool(): Promise<void> {
    if ((await dm.info(POOL)) !== undefined) await removePoolAndDevices(dm, POOL);
  }

  await createPool();
  stack.defer(async () => {
    await Promise.all([data.heal(), metadata.heal()]);
    const mounted = (await runChecked(runProcess, 'cat', ['/proc/mounts'])).split('\n');
    for (const line of mounted) {
      const [source = '', target = ''] = line.split(' ');
      if (source.startsWith(`${devicePath(POOL)}-`)) await runChecked(runProcess, 'umount', [target]);
    }
    await removePool();
  });

  const owned = stack.move();
  return {
    ...{ pool: POOL, dm, directory, data, metadata, createPool, removePool },
    serve: () =>
      serve({
        rootPath: join(directory, 'root'),
        poolName: POOL,
        baseImageSizeBytes: bytes(64 * MiB),
        asyncRemove: false,
        discardBlocks: false,
        fsType: 'ext4',
        fsOptions: '',
        address: DEFAULT_ADDRESS,
        transport: 'ioctl',
        busyTimeoutMs: 500,
        logLevel: 'info',
        pool: NO_POOL,
      }),
    status: async () => parsePoolStatus(POOL, await dm.status(POOL)),
    async reload(poolFeatures) {
      await dm.load(POOL, [table(poolFeatures)]);
      await dm.suspend(POOL, { noFlush: true, skipLockfs: true });
      await dm.resume(POOL);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

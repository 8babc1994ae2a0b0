/** Puts store, device-mapper and filesystems together into the snapshotter. Opens and closes nothing itself. */
import { createKeyedMutex } from '../base/keyed-mutex.ts';
import type { Log } from '../base/log.ts';
import type { DmName } from '../base/units.ts';
import type { BlockIo } from '../dm/block-io.ts';
import { createInspector, type Inspector } from '../check/inspector.ts';
import type { DmClient } from '../dm/client.ts';
import type { DeviceNodes } from '../dm/device-nodes.ts';
import type { StrayMount } from '../filesystem/temporary-mount.ts';
import type { SuperblockFacts } from '../filesystem/superblock.ts';
import type { FsType } from '../filesystem/types.ts';
import { createApply, type ApplyOptions } from '../pool/apply.ts';
import { baseKey, createEnsureBase, type BaseSpec } from '../pool/base-device.ts';
import { createReadFigures } from '../pool/device-figures.ts';
import { createGate, type Gate } from '../pool/gate.ts';
import { createGeneration } from '../pool/generation.ts';
import type { Floors } from '../pool/health.ts';
import type { ListPoolDevices } from '../pool/pool-devices.ts';
import { recover } from '../pool/recovery.ts';
import { createThinPool } from '../pool/thin-pool.ts';
import type { Context } from '../snapshotter/context.ts';
import { createSnapshotter } from '../snapshotter/create-snapshotter.ts';
import { createRemovalWorker, type RemovalWorker } from '../snapshotter/removal-worker.ts';
import type { Snapshotter } from '../snapshotter/snapshotter.ts';
import type { Store } from '../store/store.ts';

/** What is done to filesystems on devices. */
export interface Filesystems {
  /** Makes a filesystem on the device at `path`, without lost+found. */
  format(path: string, spec: BaseSpec): Promise<void>;
  /** Grows the filesystem on the device at `path` to the device's size. */
  grow(path: string, fsType: FsType): Promise<void>;
  /** What the filesystem on the device at `path` says of itself. */
  readSuperblock(path: string): Promise<SuperblockFacts>;
}

/** The mounts that `Filesystems` makes for a moment. */
export interface TemporaryMounts {
  list(): Promise<StrayMount[]>;
  release(directory: string): Promise<void>;
}

export interface CoreOptions {
  readonly store: Store;
  readonly dm: DmClient;
  readonly blocks: BlockIo;
  readonly filesystems: Filesystems;
  readonly nodes: Pick<DeviceNodes, 'entries' | 'forget'>;
  readonly temporaryMounts: TemporaryMounts;
  readonly listPoolDevices: ListPoolDevices;
  /** Brings the pool into the kernel where that is our task. */
  readonly assemblePool: () => Promise<void>;
  /** Tells one life of the block device `major:minor` from the next. */
  readonly identifyDisk: (device: string) => Promise<string>;
  readonly poolName: DmName;
  readonly base: BaseSpec;
  readonly asyncRemove: boolean;
  readonly discardBlocks: boolean;
  readonly floors: Floors;
  /** How long a removal waits for a device that is open. */
  readonly busyTimeoutMs: number;
  readonly removalDelayMs: number;
  readonly removalRetryMs: number;
  /** A daemon is at work; false for a command that opened the store to look at it. */
  readonly serving: boolean;
  readonly log: Log;
  readonly onStep?: ApplyOptions['onStep'];
}

export interface Core {
  readonly snapshotter: Snapshotter;
  readonly gate: Gate;
  readonly removals: RemovalWorker;
  /** Marks the end of this run in the pool, after all that changes it. Never throws. */
  endGeneration(): Promise<void>;
  readonly inspector: Inspector;
}

export function createCore(options: CoreOptions): Core {
  const { store, dm, filesystems, base, log } = options;
  const pool = createThinPool(dm, options.poolName, options.floors);
  const apply = createApply({ ...options, storeId: store.meta().storeId });
  const locks = createKeyedMutex();
  const readFigures = createReadFigures(dm, (path) => filesystems.readSuperblock(path));
  const removals = createRemovalWorker({
    context: () => context,
    log,
    delayMs: options.removalDelayMs,
    retryMs: options.removalRetryMs,
  });
  const generation = createGeneration({ store, dm, poolName: options.poolName, log });
  const gate = createGate({
    pool,
    assemble: options.assemblePool,
    identify: options.identifyDisk,
    recover: async (view) => {
      await generation.check(view);
      return recover(
        {
          ...{ store, dm, pool, apply, locks, log },
          nodes: options.nodes,
          listPoolDevices: options.listPoolDevices,
          wantedBaseKey: baseKey(base),
        },
        view,
      );
    },
    onOpen: () => removals.wake(),
    log,
  });
  const context: Context = {
    store,
    dm,
    pool,
    apply,
    locks,
    ensureBase: createEnsureBase({
      ...{ store, pool, apply, locks, log, readFigures },
      format: (path, spec) => filesystems.format(path, spec),
    }),
    readFigures,
    growFilesystem: (path, fsType) => filesystems.grow(path, fsType),
    base,
    asyncRemove: options.asyncRemove,
    discardBlocks: options.discardBlocks,
    whenReady: (op) => gate.whenOpen(op),
    removalPending: () => removals.wake(),
    log,
    nowMs: Date.now,
  };
  const snapshotter = createSnapshotter(context);
  const inspector = createInspector({
    ...{ store, dm, apply, locks, nodes: options.nodes },
    poolName: options.poolName,
    serving: options.serving,
    listPoolDevices: options.listPoolDevices,
    listMounts: () => options.temporaryMounts.list(),
    releaseMount: (directory) => options.temporaryMounts.release(directory),
    recover: () => gate.recover(),
    finishRemovals: () => snapshotter.cleanup(),
  });
  return { snapshotter, gate, removals, inspector, endGeneration: () => generation.end() };
}

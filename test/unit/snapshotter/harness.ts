/** The snapshotter on a fake kernel and a real store in a temporary directory. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../../src/base/log.ts';
import { bytes, deviceId, dmName, sectors, type DmName } from '../../../src/base/units.ts';
import { createCore, type Core, type CoreOptions } from '../../../src/daemon/core.ts';
import { poolTable } from '../../../src/dm/tables.ts';
import { DEFAULT_FLOORS } from '../../../src/pool/health.ts';
import { openStore, type Store } from '../../../src/store/store.ts';
import type { StrayMount } from '../../../src/filesystem/temporary-mount.ts';
import { createFakeNodes, type FakeNodes } from '../../fakes/device-nodes.ts';
import {
  createFakeDmClient,
  createFakeKernel,
  type FakeHooks,
  type FakeKernel,
} from '../../fakes/dm-client.ts';

export const POOL = dmName('pool');
export const MiB = 1024 * 1024;

export interface World extends AsyncDisposable {
  readonly kernel: FakeKernel;
  readonly rootPath: string;
  /** What was formatted, grown, flushed and discarded, in order. */
  readonly deeds: string[];
  readonly nodes: FakeNodes;
  /** What is mounted where dmthin mounts for a moment, by directory. */
  readonly mounts: Map<string, StrayMount>;
  start(options?: StartOptions): Promise<Running>;
}

export interface Running extends Core {
  readonly store: Store;
  /** Ends as SIGKILL would: nothing is finished, only the store's lock is free again. */
  stop(): Promise<void>;
}

export type StartOptions = Partial<Omit<CoreOptions, 'store' | 'dm' | 'poolName'>> & {
  readonly hooks?: FakeHooks;
  readonly onTransaction?: (point: string) => void;
};

/** @param uuid of the pool; none, as of a pool that somebody else made. */
export async function createWorld(uuid = ''): Promise<World> {
  // A memory filesystem where there is one: thousands of commits, and nobody cuts the power here.
  const rootPath = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'dmthin-unit-'));
  const kernel = createFakeKernel();
  const deeds: string[] = [];
  const nodes = createFakeNodes(kernel);
  const mounts = new Map<string, StrayMount>();
  createPool(kernel, POOL, uuid);
  const running = new Set<Running>();
  return {
    kernel,
    rootPath,
    deeds,
    nodes,
    mounts,
    async start({ hooks, onTransaction, ...options } = {}) {
      const store = await openStore({ rootPath, onTransaction });
      const core = createCore({
        store,
        dm: createFakeDmClient(kernel, nodes.following(hooks)),
        poolName: POOL,
        listPoolDevices: async () => [...kernel.pool(POOL).thins.keys()].map((id) => deviceId(id)),
        assemblePool: () => Promise.resolve(),
        identifyDisk: (device) => Promise.resolve(device),
        nodes,
        temporaryMounts: {
          list: async () => [...mounts.values()],
          release: async (directory) => void mounts.delete(directory),
        },
        serving: true,
        blocks: {
          flush: async (path) => void deeds.push(`flush ${path}`),
          discard: async (path) => void deeds.push(`discard ${path}`),
        },
        filesystems: {
          format: async (path, spec) => void deeds.push(`format ${path} ${spec.fsType}`),
          grow: async (path) => void deeds.push(`grow ${path}`),
          readSuperblock: async () => ({ usedInodes: 10, recordedErrors: 0 }),
        },
        base: { fsType: 'ext4', sizeBytes: bytes(64 * MiB), fsOptions: '' },
        asyncRemove: false,
        discardBlocks: false,
        floors: DEFAULT_FLOORS,
        busyTimeoutMs: 30,
        removalDelayMs: 1_000_000,
        removalRetryMs: 1_000_000,
        log: silentLog,
        ...options,
      });
      const result: Running = {
        ...core,
        store,
        async stop() {
          running.delete(result);
          await core.removals.stop();
          await store.close();
        },
      };
      running.add(result);
      await core.gate.check();
      return result;
    },
    async [Symbol.asyncDispose]() {
      for (const one of running) await one.stop();
      await rm(rootPath, { recursive: true });
    },
  };
}

export function createPool(kernel: FakeKernel, name: DmName, uuid = ''): void {
  kernel.createDevice(name, uuid);
  const table = poolTable({
    length: sectors(1024 * 2048),
    metadataDevice: '/dev/meta',
    dataDevice: '/dev/data',
    blockSectors: sectors(128),
    lowWaterBlocks: 0,
    features: [],
  });
  kernel.load(name, [table], false);
  kernel.resume(name);
}

/** Snapshot devices that the kernel has active now, without the pool. */
export function activeDevices(kernel: FakeKernel): string[] {
  return [...kernel.devices.keys()].filter((name) => name !== POOL).sort();
}

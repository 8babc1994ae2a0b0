/** What a scenario's rounds share: disks, pool, state directory, and what must be found there after every crash. */
import { createHash } from 'node:crypto';
import { open, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { bytes, type DmName, dmName } from '../../src/base/units.ts';
import type { Config } from '../../src/daemon/config.ts';
import { devicePath, type DmClient } from '../../src/dm/client.ts';
import { loopFilePaths } from '../../src/pool/provision-facts.ts';
import { createListPoolDevices, type ListPoolDevices } from '../../src/pool/pool-devices.ts';
import type { Mount } from '../../src/snapshotter/snapshotter.ts';
import { createLoopPoolNode } from '../guest/loop-pool.ts';
import { createNode, MiB, type TestNode } from '../guest/node.ts';
import { readLoops, readMounts } from './machine-state.ts';

export const BASE_BYTES = 16 * MiB;

export interface Expected {
  /** sha256 of the whole device. */
  readonly digest: string;
  /** The crash may have removed it: then nobody may see it any more. */
  readonly mayBeGone: boolean;
}

export interface WorldOptions {
  readonly dataBytes?: number;
  /** The daemon makes and assembles the pool by itself, on loop files. */
  readonly describedPool?: boolean;
}

/** What a world needs of a test's node. */
type WorldNode = Pick<TestNode, 'poolName' | 'dm' | 'directory' | 'config' | 'poolStatus'> & AsyncDisposable;

export interface World extends AsyncDisposable {
  readonly node: WorldNode;
  readonly dm: DmClient;
  readonly poolName: DmName;
  readonly config: (overrides?: Partial<Config>) => Config;
  readonly listPoolDevices: ListPoolDevices;
  /** Contents by the name of their snapshot. */
  readonly contents: Map<string, Expected>;
  /** The loop devices that belong here. */
  readonly loops: readonly string[];
  /** Files that may have a loop device besides, one each. */
  readonly poolFiles: readonly string[];
  /** Pool, devices and loop devices go, as in a reboot; of a described pool. */
  reboot(): Promise<void>;
  /** Mounts a snapshot, as containerd does, for longer than one call. @returns the directory. */
  mount(mounts: readonly Mount[]): Promise<string>;
  unmount(directory: string): Promise<void>;
  /** Directories that {@link mount} made and that are still mounted. */
  readonly mounted: ReadonlySet<string>;
}

interface NodeAndPool {
  readonly node: WorldNode;
  readonly poolFiles: readonly string[];
  readonly reboot: () => Promise<void>;
}

async function createWorldNode({ dataBytes = 256 * MiB, describedPool }: WorldOptions): Promise<NodeAndPool> {
  if (describedPool !== true) {
    const reboot = (): Promise<never> => Promise.reject(new Error('nobody would bring this pool back'));
    return { node: await createNode({ dataBytes, ownPool: true }), poolFiles: [], reboot };
  }
  const described = await createLoopPoolNode(`data_size = "${dataBytes / MiB}M"`);
  return {
    node: { ...described, poolName: described.name, poolStatus: () => described.status() },
    poolFiles: Object.values(loopFilePaths(described.name, described.files)),
    reboot: () => described.forget(),
  };
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const { node, poolFiles, reboot } = await createWorldNode(options);
  stack.defer(() => node[Symbol.asyncDispose]());
  const { dm, poolName } = node;
  const mounted = new Set<string>();

  async function unmount(directory: string): Promise<void> {
    await runChecked(runProcess, 'umount', [directory]);
    mounted.delete(directory);
    await rm(directory, { recursive: true });
  }

  // Whatever state a failed round left, the pool must go: what is suspended first, or unmounting waits for it.
  stack.defer(async () => {
    await dm.resume(poolName).catch(() => undefined);
    for (const { name } of await dm.list()) {
      if (name.startsWith(`${poolName}-`)) await dm.resume(name).catch(() => undefined);
    }
    for (const { source, directory } of await readMounts()) {
      if (source.includes(poolName)) await runChecked(runProcess, 'umount', [directory]);
    }
  });
  const owned = stack.move();
  return {
    ...{ node, dm, poolName, poolFiles, reboot, mounted, unmount },
    loops: await readLoops(),
    contents: new Map(),
    config: (overrides = {}) => node.config({ baseImageSizeBytes: bytes(BASE_BYTES), ...overrides }),
    listPoolDevices: createListPoolDevices({ dm, run: runProcess, poolName }),
    async mount(mounts) {
      const [mount] = mounts;
      if (mount === undefined) throw new Error('no mount');
      const directory = await mkdtemp(join(tmpdir(), 'crash-'));
      const options = mount.options.length === 0 ? [] : ['-o', mount.options.join(',')];
      await runChecked(runProcess, 'mount', ['-t', mount.type, ...options, mount.source, directory]);
      mounted.add(directory);
      return directory;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** sha256 of a whole block device. */
export async function digestDevice(path: string): Promise<string> {
  const hash = createHash('sha256');
  await using device = await open(path, 'r');
  const buffer = Buffer.alloc(MiB);
  for (;;) {
    const { bytesRead } = await device.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
  }
}

/** Writes something that only this device has, where the file system has nothing. */
export async function scribble(device: DmName, text: string): Promise<void> {
  await using file = await open(devicePath(device), 'r+');
  const block = Buffer.alloc(64 * 1024, `${text}\n`);
  await file.write(block, 0, block.length, BASE_BYTES / 2);
}

export function deviceOf([mount]: readonly Mount[]): DmName {
  return dmName(mount?.source.slice('/dev/mapper/'.length) ?? '');
}

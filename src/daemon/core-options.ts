/** The real parts that the core is made of, for the daemon and for commands that work on the store without one. */
import { join } from 'node:path';
import type { Log } from '../base/log.ts';
import type { RunProcess } from '../base/process.ts';
import { createBlockIo } from '../dm/block-io.ts';
import type { DmClient } from '../dm/client.ts';
import { createDeviceNodes } from '../dm/device-nodes.ts';
import { identifyDisk } from '../dm/identify-disk.ts';
import { formatBase } from '../filesystem/format-base.ts';
import { growFilesystem } from '../filesystem/grow.ts';
import { readSuperblock } from '../filesystem/superblock.ts';
import { listMounts, releaseMount } from '../filesystem/temporary-mount.ts';
import { createListPoolDevices } from '../pool/pool-devices.ts';
import type { Store } from '../store/store.ts';
import type { Config } from './config.ts';
import type { CoreOptions } from './core.ts';

const REMOVAL_DELAY_MS = 5_000;
const REMOVAL_RETRY_MS = 30_000;

export interface Opened {
  readonly store: Store;
  readonly dm: DmClient;
  readonly run: RunProcess;
  readonly log: Log;
}

/** Where filesystems are mounted for a moment, so that what a crash leaves there can be told from other mounts. */
export function mountsDirectory(rootPath: string): string {
  return join(rootPath, 'mounts');
}

export function coreOptions(config: Config, opened: Opened): Omit<CoreOptions, 'serving' | 'assemblePool'> {
  const { store, dm, run, log } = opened;
  const under = mountsDirectory(config.rootPath);
  return {
    ...{ store, dm, log },
    blocks: createBlockIo(),
    filesystems: {
      format: (path, spec) => formatBase(run, path, { ...spec, under }),
      grow: (devicePath, fsType) => growFilesystem(run, { devicePath, fsType, under }),
      readSuperblock,
    },
    nodes: createDeviceNodes(),
    temporaryMounts: {
      list: () => listMounts(under),
      release: (directory) => releaseMount(run, directory),
    },
    listPoolDevices: createListPoolDevices({ dm, run, poolName: config.poolName }),
    identifyDisk,
    poolName: config.poolName,
    base: { fsType: config.fsType, sizeBytes: config.baseImageSizeBytes, fsOptions: config.fsOptions },
    asyncRemove: config.asyncRemove,
    discardBlocks: config.discardBlocks,
    floors: config.pool.floors,
    busyTimeoutMs: config.busyTimeoutMs,
    removalDelayMs: REMOVAL_DELAY_MS,
    removalRetryMs: REMOVAL_RETRY_MS,
  };
}

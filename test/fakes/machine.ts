/** Files, disks and loop devices in memory beside the fake kernel: what provisioning works on, with every change counted. */
import { basename, dirname } from 'node:path';
import { DmthinError } from '../../src/base/errors.ts';
import { type Bytes, bytes, dmName } from '../../src/base/units.ts';
import type { DmClient } from '../../src/dm/client.ts';
import { parsePoolTable } from '../../src/dm/tables.ts';
import type { BlockDevices } from '../../src/pool/block-devices.ts';
import type { PoolChanges } from '../../src/pool/pool-changes.ts';
import { createFakeDmClient, createFakeKernel, type FakeKernel } from './dm-client.ts';
import { createFakePoolChanges } from './pool-changes.ts';

export interface FakeVolume {
  readonly kind: 'file' | 'block' | 'directory';
  size: number;
  /** The first bytes; the rest are zeroes. */
  start: Buffer;
  signature: string | undefined;
  inUse: boolean;
}

export interface Machine {
  readonly kernel: FakeKernel;
  readonly dm: DmClient;
  readonly devices: BlockDevices;
  readonly poolChanges: PoolChanges;
  readonly volumes: Map<string, FakeVolume>;
  /** Loop device -> file. */
  readonly loops: Map<string, string>;
  /** Names of the changes made so far, in order, for example `makeFile /pools/p.data`. */
  readonly changes: string[];
  /** Throw to fail a change. */
  beforeChange: (change: string) => void;
  freeBytes: number;
  /** What LVM does when it is asked to activate a volume. */
  onActivateLvm: () => void;
  addFile(path: string, size: number, start?: Buffer): FakeVolume;
  addDisk(path: string, size: number, start?: Buffer): FakeVolume;
  /** Pools and loop devices are gone, files and disks stay. */
  reboot(): void;
  /** All that tests compare before and after. */
  state(): unknown;
}

/** Block 0 of a pool's metadata as the kernel writes it, as far as dmthin reads it. */
export function thinSuperblock(blockSectors: number, dataBlocks: number, metadataBlocks = 4096): Buffer {
  const block = Buffer.alloc(4096);
  block.writeBigUInt64LE(27_022_010n, 32);
  block.writeBigUInt64LE(BigInt(dataBlocks), 64);
  block.writeBigUInt64LE(BigInt(metadataBlocks), 192);
  block.writeUInt32LE(blockSectors, 336);
  return block;
}

/** `/`, `/dev` and `/var` are directories. Device numbers are the devices' paths, which the fake kernel keeps as they are. */
export function createMachine(): Machine {
  const kernel = createFakeKernel();
  const volumes = new Map<string, FakeVolume>();
  const loops = new Map<string, string>();
  const changes: string[] = [];
  /** Files whose pools' metadata must tell of their new size. */
  const grown = new Set<string>();

  const add = (
    kind: FakeVolume['kind'],
    path: string,
    size: number,
    start: Buffer = Buffer.alloc(0),
  ): FakeVolume => {
    const volume: FakeVolume = { kind, size, start, signature: undefined, inUse: false };
    volumes.set(path, volume);
    return volume;
  };
  for (const path of ['/', '/dev', '/var']) add('directory', path, 0);

  const find = (path: string): FakeVolume => {
    const volume = volumes.get(loops.get(path) ?? path);
    if (volume === undefined) throw new DmthinError('internal', { op: 'fake', what: `nothing at ${path}` });
    return volume;
  };
  const change = (name: string): void => {
    machine.beforeChange(name);
    changes.push(name);
  };
  const poolStandsOn = (path: string): boolean =>
    [...kernel.devices.values()].some(({ live }) =>
      live?.lines.some(({ params }) => params.split(' ').includes(path)),
    );

  const devices: BlockDevices = {
    describe(path) {
      const volume = volumes.get(loops.get(path) ?? path);
      if (volume === undefined) return Promise.resolve(undefined);
      const kind = loops.has(path) ? 'block' : volume.kind;
      const number = kind === 'block' ? path : undefined;
      return Promise.resolve({ kind, sizeBytes: bytes(volume.size), allocatedBytes: bytes(0), number });
    },
    isInUse: (path) => Promise.resolve(find(path).inUse || poolStandsOn(path)),
    holders: (path) =>
      Promise.resolve(
        [...kernel.devices.values()]
          .filter(({ live }) => live?.lines.some(({ params }) => params.split(' ').includes(path)))
          .map(({ name }) => `/dev/mapper/${name}`),
      ),
    readStart(path, length) {
      const { start, size } = find(path);
      const buffer = Buffer.alloc(Math.min(length, size));
      start.copy(buffer);
      return Promise.resolve(buffer);
    },
    signature: (path) => Promise.resolve(find(path).signature),
    loopsOf: (file) =>
      Promise.resolve([...loops].filter(([, backing]) => backing === file).map(([device]) => device)),
    async attachLoop(file) {
      await Promise.resolve();
      change(`attachLoop ${file}`);
      find(file);
      const free = Array.from({ length: loops.size + 1 }, (_, index) => `/dev/loop${index}`);
      const device = free.find((name) => !loops.has(name)) ?? '';
      loops.set(device, file);
      return device;
    },
    async detachLoop(device) {
      await Promise.resolve();
      change(`detachLoop ${device}`);
      loops.delete(device);
    },
    async makeDirectory(path) {
      await Promise.resolve();
      change(`makeDirectory ${path}`);
      let topmost: string | undefined;
      for (let current = path; !volumes.has(current); current = dirname(current)) {
        add('directory', current, 0);
        topmost = current;
      }
      return topmost;
    },
    async removeDirectories(path, topmost) {
      await Promise.resolve();
      change(`removeDirectories ${path}`);
      for (let current = path; current.startsWith(topmost); current = dirname(current)) {
        const full = [...volumes.keys()].some((other) => other.startsWith(`${current}/`));
        if (full) throw new DmthinError('internal', { op: 'fake', what: `${current} is not empty` });
        volumes.delete(current);
      }
    },
    async makeFile(path, size: Bytes) {
      await Promise.resolve();
      change(`makeFile ${path}`);
      if (!volumes.has(dirname(path)))
        throw new DmthinError('internal', { op: 'fake', what: `no directory for ${path}` });
      if (volumes.has(path)) throw new DmthinError('already_exists', { op: 'fake', what: path });
      add('file', path, size);
    },
    async growFile(path, size) {
      await Promise.resolve();
      change(`growFile ${path} ${size}`);
      find(path).size = size;
      grown.add(path);
    },
    async activateLvm(volume) {
      await Promise.resolve();
      change(`activateLvm ${volume}`);
      machine.onActivateLvm();
    },
    async refreshLoop(device) {
      await Promise.resolve();
      change(`refreshLoop ${device}`);
    },
    async deleteFile(path) {
      await Promise.resolve();
      change(`deleteFile ${path}`);
      volumes.delete(path);
    },
    async wipe(device) {
      await Promise.resolve();
      change(`wipe ${device}`);
      const volume = find(device);
      volume.start = Buffer.alloc(0);
      volume.signature = undefined;
    },
    byNumber: (number) =>
      Promise.resolve(
        volumes.has(loops.get(number) ?? number)
          ? { path: number, backingFile: loops.get(number) }
          : undefined,
      ),
    freeBytes: () => Promise.resolve(bytes(machine.freeBytes)),
  };

  const dm = createFakeDmClient(kernel, {
    before({ step, device }) {
      if (step === 'create' || step === 'remove') change(`${step} ${device ?? ''}`);
    },
    after({ step, device }) {
      if (step !== 'resume' || device === undefined) return;
      const lines = kernel.table(device);
      if (lines[0]?.target !== 'thin-pool') return;
      const table = parsePoolTable(device, lines);
      const metadata = find(table.metadataDevice);
      const blocks = table.length / table.blockSectors;
      if (grown.has(loops.get(table.metadataDevice) ?? ''))
        kernel.pool(device).totalMetadataBlocks = metadata.size / 4096;
      if (metadata.start.every((byte) => byte === 0))
        metadata.start = thinSuperblock(table.blockSectors, blocks);
    },
  });

  const machine: Machine = {
    kernel,
    dm,
    devices,
    poolChanges: createFakePoolChanges(),
    volumes,
    loops,
    changes,
    beforeChange: () => undefined,
    freeBytes: 2 ** 50,
    onActivateLvm: () => undefined,
    addFile: (path, size, start) => add('file', path, size, start),
    addDisk: (path, size, start) => add('block', path, size, start),
    reboot() {
      kernel.reboot();
      loops.clear();
    },
    state: () =>
      structuredClone({
        volumes,
        loops,
        pools: [...kernel.devices.keys()].map((name) => ({
          name: basename(name),
          table: kernel.table(dmName(name)),
        })),
      }),
  };
  return machine;
}

/**
 * A device-mapper kernel in memory, for tests that need no root.
 *
 * The kernel outlives its clients: a test crashes a daemon by dropping the client and opens another with
 * {@link FakeKernel.client}. Every rule here is held against the real kernel by test/contract.
 */
import { type DmName, dmName } from '../../src/base/units.ts';
import type { DmInfo, DmLine } from '../../src/dm/client.ts';
import { parsePoolTable, parseThinTable, type PoolTable } from '../../src/dm/tables.ts';
import {
  createPoolMetadata,
  Errno,
  type FakePoolMetadata,
  poolMessage,
  poolStatusParams,
} from './dm-pool.ts';

interface LoadedTable {
  readonly lines: readonly DmLine[];
  readonly readOnly: boolean;
}

export interface FakeDevice {
  readonly name: DmName;
  readonly uuid: string;
  readonly minor: number;
  /** Opens by mounts and processes; those by other devices' tables come on top. */
  openers: number;
  suspended: boolean;
  deferredRemove: boolean;
  eventNr: number;
  live: LoadedTable | undefined;
  inactive: LoadedTable | undefined;
}

/** The kernel's own calls, without names of operations or retries around them. Each throws {@link Errno}. */
export interface FakeKernel {
  readonly devices: ReadonlyMap<DmName, FakeDevice>;
  /** The thin-pool metadata behind a live pool device. */
  pool(name: DmName): FakePoolMetadata;
  /** Sets how many mounts and processes hold the device open; a removal put off may then happen. */
  setOpeners(name: DmName, openers: number): void;
  /** All devices are gone, what was on the metadata devices stays. */
  reboot(): void;

  info(name: DmName): DmInfo | undefined;
  createDevice(name: DmName, uuid: string): void;
  load(name: DmName, lines: readonly DmLine[], readOnly: boolean): void;
  suspend(name: DmName): void;
  resume(name: DmName): void;
  remove(name: DmName, deferred: boolean): 'removed' | 'deferred';
  message(name: DmName, message: string): string;
  table(name: DmName): DmLine[];
  status(name: DmName): DmLine[];
}

export const FAKE_MAJOR = 253;
export const FAKE_TARGETS = ['thin', 'thin-pool', 'linear', 'zero', 'error'] as const;

export function createFakeKernel(): FakeKernel {
  const devices = new Map<DmName, FakeDevice>();
  const metadata = new Map<string, FakePoolMetadata>();

  const find = (name: DmName): FakeDevice => {
    const device = devices.get(name);
    if (device === undefined) throw new Errno('ENXIO', 'no such device');
    return device;
  };

  /** The kernel keeps devices as numbers: `/dev/mapper/NAME` becomes `253:N`; foreign paths stay as they are. */
  const canonical = (line: DmLine): DmLine => ({
    ...line,
    params: line.params
      .split(' ')
      .map((word) => {
        if (!word.startsWith('/dev/mapper/')) return word;
        const device = [...devices.values()].find(({ name }) => word === `/dev/mapper/${name}`);
        if (device === undefined) throw new Errno('ENODEV', `no device ${word}`);
        return `${FAKE_MAJOR}:${device.minor}`;
      })
      .join(' '),
  });

  const holders = (held: FakeDevice): number =>
    [...devices.values()]
      .flatMap(({ live, inactive }) => [live, inactive])
      .filter((table) =>
        table?.lines.some(({ params }) => params.split(' ').includes(`${FAKE_MAJOR}:${held.minor}`)),
      ).length;

  const openCount = (device: FakeDevice): number => device.openers + holders(device);

  /** Carries out removals that were waiting for the last close; one can set another free. */
  const settle = (): void => {
    const due = [...devices.values()].find((device) => device.deferredRemove && openCount(device) === 0);
    if (due === undefined) return;
    devices.delete(due.name);
    settle();
  };

  const livePool = (device: FakeDevice | undefined): [PoolTable, FakePoolMetadata] | undefined => {
    if (device?.live?.lines[0]?.target !== 'thin-pool') return undefined;
    const table = parsePoolTable(device.name, device.live.lines);
    const pool = metadata.get(table.metadataDevice) ?? createPoolMetadata();
    metadata.set(table.metadataDevice, pool);
    return [table, pool];
  };

  const poolByNumber = (number: string): [PoolTable, FakePoolMetadata] | undefined =>
    livePool([...devices.values()].find(({ minor }) => `${FAKE_MAJOR}:${minor}` === number));

  const checkLine = (name: DmName, line: DmLine): void => {
    switch (line.target) {
      case 'thin-pool': {
        const { blockSectors } = parsePoolTable(name, [line]);
        if (blockSectors < 128 || blockSectors > 2_097_152 || blockSectors % 128 !== 0) {
          throw new Errno('EINVAL', 'bad block size');
        }
        return;
      }
      case 'thin': {
        const table = parseThinTable(name, [line]);
        const pool = poolByNumber(table.poolDevice);
        if (pool === undefined || pool[1].mode === 'fail') throw new Errno('EINVAL', 'no usable pool');
        const owner = [...devices.values()].find(
          ({ minor }) => `${FAKE_MAJOR}:${minor}` === table.poolDevice,
        );
        if (owner?.suspended === true) throw new Errno('EINVAL', 'the pool is suspended');
        if (!pool[1].thins.has(table.deviceId)) throw new Errno('ENODATA', `no thin ${table.deviceId}`);
        return;
      }
      case 'linear':
      case 'zero':
      case 'error':
        return;
      default:
        throw new Errno('EINVAL', `unknown target ${line.target}`);
    }
  };

  const checkTable = (name: DmName, lines: readonly DmLine[]): void => {
    let end = 0;
    for (const line of lines) {
      if (line.start !== end || line.length === 0) throw new Errno('EINVAL', 'the table has a gap');
      end += line.length;
      try {
        checkLine(name, line);
      } catch (error) {
        throw error instanceof Errno ? error : new Errno('EINVAL', 'the target refuses its parameters');
      }
    }
    if (end === 0) throw new Errno('EINVAL', 'the table is empty');
  };

  const info = (name: DmName): DmInfo | undefined => {
    const device = devices.get(name);
    if (device === undefined) return undefined;
    return {
      name,
      uuid: device.uuid,
      major: FAKE_MAJOR,
      minor: device.minor,
      openCount: openCount(device),
      eventNr: device.eventNr,
      suspended: device.suspended,
      readOnly: device.live?.readOnly ?? false,
      live: device.live !== undefined,
      inactive: device.inactive !== undefined,
      deferredRemove: device.deferredRemove,
    };
  };

  return {
    devices,
    pool(name) {
      const pool = livePool(find(name));
      if (pool === undefined) throw new Error(`${name} is no live thin-pool`);
      return pool[1];
    },
    setOpeners(name, openers) {
      find(name).openers = openers;
      settle();
    },
    reboot() {
      devices.clear();
    },
    info,
    createDevice(name, uuid) {
      const taken = [...devices.values()].some((other) => uuid !== '' && other.uuid === uuid);
      if (taken || devices.has(name)) throw new Errno('EBUSY', 'name or uuid taken');
      const used = new Set([...devices.values()].map(({ minor }) => minor));
      const minor =
        Array.from({ length: used.size + 1 }, (_, index) => index).find((free) => !used.has(free)) ?? 0;
      devices.set(dmName(name), {
        name,
        uuid,
        minor,
        openers: 0,
        suspended: false,
        deferredRemove: false,
        eventNr: 0,
        live: undefined,
        inactive: undefined,
      });
    },
    load(name, lines, readOnly) {
      const device = find(name);
      const canonicalLines = lines.map(canonical);
      checkTable(name, canonicalLines);
      device.inactive = { lines: canonicalLines, readOnly };
      settle();
    },
    suspend(name) {
      find(name).suspended = true;
    },
    resume(name) {
      const device = find(name);
      if (device.inactive !== undefined) {
        const before = livePool(device);
        const after = device.inactive.lines[0];
        if (before !== undefined && after !== undefined && after.length < before[0].length) {
          device.inactive = undefined;
          device.suspended = true;
          throw new Errno('EINVAL', 'a pool cannot shrink');
        }
        device.live = device.inactive;
        device.inactive = undefined;
      }
      if (device.suspended && device.live === undefined) throw new Errno('EINVAL', 'no table');
      device.suspended = false;
      settle();
    },
    remove(name, deferred) {
      const device = find(name);
      if (openCount(device) > 0) {
        if (!deferred) throw new Errno('EBUSY', 'device is open');
        device.deferredRemove = true;
        return 'deferred';
      }
      devices.delete(name);
      settle();
      return 'removed';
    },
    message(name, message) {
      const pool = livePool(find(name));
      if (pool === undefined) throw new Errno('EINVAL', 'the target takes no messages');
      poolMessage(pool[1], pool[0], message, (id) =>
        [...devices.values()].some((device) =>
          [device.live, device.inactive].some((table) => {
            const line = table?.lines[0];
            if (line?.target !== 'thin') return false;
            const thin = parseThinTable(device.name, [line]);
            return thin.deviceId === id && poolByNumber(thin.poolDevice)?.[1] === pool[1];
          }),
        ),
      );
      return '';
    },
    table: (name) =>
      (find(name).live?.lines ?? []).map((line) => {
        if (line.target !== 'thin') return line;
        const { poolDevice } = parseThinTable(name, [line]);
        return poolByNumber(poolDevice)?.[1].mode === 'fail' ? { ...line, params: 'Fail' } : line;
      }),
    status(name) {
      const device = find(name);
      return (device.live?.lines ?? []).map((line) => {
        const pool = livePool(device);
        if (pool !== undefined) return { ...line, params: poolStatusParams(pool[1], pool[0]) };
        if (line.target !== 'thin') return { ...line, params: '' };
        const thin = parseThinTable(name, [line]);
        const owner = poolByNumber(thin.poolDevice)?.[1];
        const mapped = owner?.thins.get(thin.deviceId)?.mappedSectors ?? 0;
        const params = owner?.mode === 'fail' ? 'Fail' : `${mapped} ${mapped === 0 ? '-' : mapped - 1}`;
        return { ...line, params };
      });
    },
  };
}

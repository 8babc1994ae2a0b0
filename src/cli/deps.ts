/** What the commands need from the rest of the program; main.ts supplies the real ones, tests their own. */
import type { Log, LogLevel } from '../base/log.ts';
import type { RunProcess } from '../base/process.ts';
import type { DmName } from '../base/units.ts';
import type { Inspector } from '../check/inspector.ts';
import type { Config } from '../daemon/config.ts';
import type { DmClient } from '../dm/client.ts';
import type { BlockDevices } from '../pool/block-devices.ts';
import type { FindDeviceUsers } from '../pool/device-users.ts';
import type { PoolChanges } from '../pool/pool-changes.ts';
import type { SnapshotInfo, Usage } from '../snapshotter/snapshotter.ts';
import type { Terminal } from './terminal.ts';

export type Transport = Config['transport'];

export interface Daemon {
  /** The socket that it listens on. */
  readonly address: string;
  stop(): Promise<void>;
}

/** The running daemon, seen through its socket. */
export interface SnapshotClient {
  /** @param filters containerd's filter syntax; any of them may match; none: every snapshot. */
  list(filters?: readonly string[]): AsyncIterable<readonly SnapshotInfo[]>;
  usage(key: string): Promise<Usage>;
  /** Whether calls that need the pool get through now. */
  isServing(): Promise<boolean>;
  close(): void;
}

/** The process signals that end the daemon. */
export interface Signals {
  on(signal: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  off(signal: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
}

export interface CliDeps {
  readonly terminal: Terminal;
  readonly version: string;
  readonly run: RunProcess;
  readonly signals: Signals;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
  readonly createLog: (level: LogLevel) => Log;
  readonly startDaemon: (config: Config, deps: { log: Log; version: string }) => Promise<Daemon>;
  /** @throws unavailable when no daemon answers. */
  readonly connect: (address: string) => Promise<SnapshotClient>;
  /** Check and repair by the running daemon. @throws unavailable when none answers. */
  readonly connectAdmin: (address: string) => Promise<Inspector & { close(): void }>;
  /** Check and repair without a daemon. @throws locked while one has the store. */
  readonly openInspector: (
    config: Config,
    deps: { log: Log },
  ) => Promise<Inspector & { close(): Promise<void> }>;
  readonly isRoot: () => boolean;
  readonly openDm: (transport: Transport) => Promise<DmClient>;
  readonly blockDevices: BlockDevices;
  readonly findDeviceUsers: FindDeviceUsers;
  readonly poolChanges: PoolChanges;
  /** @returns undefined when there is no store in `rootPath`. @throws locked while a daemon has it. */
  readonly countSnapshots: (rootPath: string, pool: DmName) => Promise<number | undefined>;
}

/** The daemon's settings, decoded. How they are read from TOML: read-config.ts. */
import type { LogLevel } from '../base/log.ts';
import type { Bytes, DmName, Sectors } from '../base/units.ts';
import type { TransportName } from '../dm/client.ts';
import type { FsType } from '../filesystem/types.ts';
import type { Floors } from '../pool/health.ts';
import type { DescribedBacking } from '../pool/provision-ensure.ts';

/** Read when no `--config` is given. */
export const DEFAULT_CONFIG_PATH = '/etc/dmthin/config.toml';
export const DEFAULT_ROOT_PATH = '/var/lib/dmthin';
export const DEFAULT_ADDRESS = '/run/dmthin/dmthin.sock';

/** The table [pool]. */
export interface PoolSettings {
  /** What the pool stands on; undefined: somebody else assembles it. */
  readonly backing: DescribedBacking | undefined;
  /** Of a new pool; one that is there must have it. undefined: as it is, else the default. */
  readonly blockSectors: Sectors | undefined;
  readonly floors: Floors;
  /** How large the data of a pool on loop files may grow by itself; undefined: it does not. */
  readonly maxDataBytes: Bytes | undefined;
  /** Command line of what is run when the pool is low on space and cannot grow by itself. */
  readonly onLowSpace: readonly string[] | undefined;
}

export interface Config {
  /** Where the store lives. `--root` wins over `root_path`. Default {@link DEFAULT_ROOT_PATH}. */
  readonly rootPath: string;
  readonly poolName: DmName;
  /** Virtual size of a new parentless device. */
  readonly baseImageSizeBytes: Bytes;
  readonly asyncRemove: boolean;
  readonly discardBlocks: boolean;
  readonly fsType: FsType;
  /** mkfs options as the user wrote them; '' means our defaults. */
  readonly fsOptions: string;
  /** The unix socket. `--address` wins. Default {@link DEFAULT_ADDRESS}. */
  readonly address: string;
  readonly transport: TransportName | 'auto';
  /** How long Remove waits for a device that is open before it refuses. Default 2 s. */
  readonly busyTimeoutMs: number;
  /** `--log-level` wins. Default info. */
  readonly logLevel: LogLevel;
  readonly pool: PoolSettings;
}

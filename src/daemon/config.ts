/** The daemon's settings, decoded. How they are read from TOML: read-config.ts. */
import type { Bytes, DmName } from '../base/units.ts';
import type { TransportName } from '../dm/client.ts';
import type { FsType } from '../filesystem/types.ts';

export interface Config {
  /** Where the store lives. `--root` wins over `root_path`. Default /var/lib/dmthin. */
  readonly rootPath: string;
  readonly poolName: DmName;
  /** Virtual size of a new parentless device. */
  readonly baseImageSizeBytes: Bytes;
  readonly asyncRemove: boolean;
  readonly discardBlocks: boolean;
  readonly fsType: FsType;
  /** mkfs options as the user wrote them; '' means our defaults. */
  readonly fsOptions: string;
  /** The unix socket. Default /run/dmthin/dmthin.sock. */
  readonly address: string;
  readonly transport: TransportName | 'auto';
}

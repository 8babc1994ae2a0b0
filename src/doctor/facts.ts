/** Everything that the checks judge by, read beforehand. */
import type { DmthinError } from '../base/errors.ts';
import type { Bytes } from '../base/units.ts';
import type { ContainerdConfig } from '../containerd/config-view.ts';
import type { ContainerdVersion } from '../containerd/version.ts';
import type { ConfigResult } from '../daemon/read-config.ts';
import type { DmTarget } from '../dm/client.ts';
import type { PoolReport } from '../pool/provision-status.ts';

/** Something that was read, or why it could not be; `unseen`: it was not even tried, because of what is said elsewhere. */
export type Known<T> =
  | { readonly kind: 'known'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: DmthinError }
  | { readonly kind: 'unseen'; readonly why: string };

export interface DmFacts {
  readonly transport: string;
  readonly version: readonly [number, number, number];
  readonly targets: readonly DmTarget[];
}

export interface UdevFacts {
  /** udevd runs. */
  readonly runs: boolean;
  /** Where our rule is; undefined: nowhere that udevd reads. */
  readonly rulePath: string | undefined;
}

export interface LimitFacts {
  /** `daemon`: of the running daemon; `self`: of this process, because no daemon was found. */
  readonly of: 'daemon' | 'self';
  readonly openFiles: number;
}

export interface ContainerdFacts {
  /** undefined: not installed here, or it says no version. */
  readonly version: ContainerdVersion | undefined;
  readonly configPath: string;
  /** `undefined`: there is no such file. */
  readonly config: Known<ContainerdConfig | undefined>;
}

export interface Facts {
  readonly isRoot: boolean;
  readonly kernelRelease: string;
  readonly config: ConfigResult;
  readonly dm: Known<DmFacts>;
  /** Those of {@link PROGRAMS} that are not in PATH. */
  readonly missingPrograms: readonly Program[];
  readonly pool: Known<PoolReport>;
  /** Free bytes of the filesystem of the pool's data file; undefined: the pool stands on disks. */
  readonly fileFreeBytes: Known<Bytes | undefined>;
  readonly storeFreeBytes: Known<Bytes>;
  readonly udev: UdevFacts;
  readonly limits: LimitFacts;
  readonly containerd: ContainerdFacts;
  /** Whether calls get through to the pool. */
  readonly daemonServes: Known<boolean>;
}

export const PROGRAMS = [
  'dmsetup',
  'mkfs.ext4',
  'mkfs.ext2',
  'mkfs.xfs',
  'resize2fs',
  'xfs_growfs',
  'thin_ls',
  'thin_check',
  'thin_repair',
] as const;
export type Program = (typeof PROGRAMS)[number];

/** The name of our rule; packaging/udev has it. Before device-mapper's own rules, whatever number those have. */
export const UDEV_RULE = '09-dmthin.rules';

/** Judgements about the machine: kernel, programs, space, udev, limits. Pure. */
import { formatSize } from '../base/units.ts';
import { formatProblem } from '../daemon/read-config.ts';
import type { FsType } from '../filesystem/types.ts';
import { type Facts, type Program, UDEV_RULE } from './facts.ts';
import { failed, type Finding, ok, problem, unseen, warning } from './finding.ts';

export function judgeRights({ isRoot }: Facts): Finding {
  return isRoot ? ok('runs as root') : problem('does not run as root', 'run the same command with sudo');
}

export function judgeConfig({ config }: Facts): Finding {
  if (config.ok) return ok(`pool ${config.config.poolName}, store ${config.config.rootPath}`);
  const lines = config.problems.map(formatProblem);
  return problem(
    lines.join('; '),
    'dmthin config check FILE; dmthin config default prints one to start from',
  );
}

export function judgeDeviceMapper({ dm }: Facts): Finding {
  switch (dm.kind) {
    case 'known':
      return ok(`interface ${dm.value.version.join('.')} over ${dm.value.transport}`);
    case 'failed':
      return failed(dm.error, 'modprobe dm_thin_pool');
    case 'unseen':
      return unseen(dm.why);
    default:
      return dm satisfies never;
  }
}

const NEEDED_TARGETS = ['thin-pool', 'thin'];

export function judgeTargets({ dm, kernelRelease }: Facts): Finding {
  if (dm.kind !== 'known') return unseen('device-mapper does not answer');
  const found = NEEDED_TARGETS.map((name) => dm.value.targets.find((target) => target.name === name));
  const missing = NEEDED_TARGETS.filter((_, index) => found[index] === undefined);
  if (missing.length > 0) {
    return problem(
      `the kernel ${kernelRelease} has no target ${missing.join(', ')}`,
      'modprobe dm-thin-pool, and name dm-thin-pool in /etc/modules-load.d/dmthin.conf; a kernel without that module needs CONFIG_DM_THIN_PROVISIONING',
    );
  }
  const versions = found.map((target) => `${target?.name ?? ''} ${target?.version.join('.') ?? ''}`);
  return ok(`${versions.join(', ')}; kernel ${kernelRelease}`);
}

export function judgeDmsetup({ missingPrograms, config }: Facts): Finding {
  if (!missingPrograms.includes('dmsetup')) return ok('installed');
  const remedy = 'apt-get install dmsetup (device-mapper elsewhere)';
  return config.ok && config.config.transport === 'dmsetup'
    ? problem('dmsetup is not installed, and transport = "dmsetup" needs it', remedy)
    : warning('dmsetup is not installed: dmthin works without, people who look at devices do not', remedy);
}

const FILESYSTEM_PROGRAMS: Readonly<Record<FsType, { make: Program; grow: Program; package: string }>> = {
  ext4: { make: 'mkfs.ext4', grow: 'resize2fs', package: 'e2fsprogs' },
  ext2: { make: 'mkfs.ext2', grow: 'resize2fs', package: 'e2fsprogs' },
  xfs: { make: 'mkfs.xfs', grow: 'xfs_growfs', package: 'xfsprogs' },
};

export function judgeFilesystem({ missingPrograms, config }: Facts): Finding {
  if (!config.ok) return unseen('the configuration has problems');
  const { fsType } = config.config;
  const { make, grow, package: name } = FILESYSTEM_PROGRAMS[fsType];
  const missing = [make, grow].filter((program) => missingPrograms.includes(program));
  if (missing.length === 0) return ok(`${make} and ${grow} are installed`);
  return problem(`fs_type = "${fsType}" needs ${missing.join(' and ')}`, `install ${name}`);
}

const THIN_TOOLS: readonly Program[] = ['thin_ls', 'thin_check', 'thin_repair'];

export function judgeThinTools({ missingPrograms }: Facts): Finding {
  const missing = THIN_TOOLS.filter((program) => missingPrograms.includes(program));
  if (missing.length === 0) return ok(`${THIN_TOOLS.join(', ')} are installed`);
  return problem(
    `${missing.join(', ')} not installed: dmthin compares store and pool with thin_ls, and damaged metadata needs the others`,
    'install thin-provisioning-tools (device-mapper-persistent-data elsewhere)',
  );
}

/** The store of 10,000 snapshots takes less than 32 MiB, and a commit copies pages before it frees old ones. */
const STORE_FREE_BYTES = 64 * 1024 * 1024;

export function judgeStoreSpace({ storeFreeBytes, config }: Facts): Finding {
  if (!config.ok || storeFreeBytes.kind === 'unseen') return unseen('the configuration has problems');
  if (storeFreeBytes.kind === 'failed') return failed(storeFreeBytes.error, 'see that root_path can be made');
  const { rootPath } = config.config;
  const what = `${formatSize(storeFreeBytes.value)} free at ${rootPath}`;
  if (storeFreeBytes.value >= STORE_FREE_BYTES) return ok(what);
  return problem(
    `only ${what}, where every change is written first`,
    'free space there, or set root_path to another filesystem (with the daemon stopped and its files moved)',
  );
}

export function judgeUdev({ udev }: Facts): Finding {
  if (udev.rulePath !== undefined) return ok(`our rule is ${udev.rulePath}`);
  if (!udev.runs) return ok('udevd does not run: dmthin makes the links in /dev/mapper by itself');
  return warning(
    `udevd runs without our rule ${UDEV_RULE}: a scan may hold a device when it is to be removed`,
    `copy packaging/udev/${UDEV_RULE} to /etc/udev/rules.d, then: udevadm control --reload`,
  );
}

/** Each connection, the store and each device that is looked at take one; Debian's default for services is 524288. */
const MIN_OPEN_FILES = 1024;

export function judgeLimits({ limits }: Facts): Finding {
  const whose = limits.of === 'daemon' ? 'the daemon' : 'this shell (no daemon runs)';
  const what = `${whose} may have ${limits.openFiles} files open`;
  if (limits.openFiles >= MIN_OPEN_FILES) return ok(what);
  return warning(
    `${what}, fewer than ${MIN_OPEN_FILES}`,
    'LimitNOFILE=65536 in the unit, or ulimit -n before the start',
  );
}

export function judgeDaemon({ daemonServes, config }: Facts): Finding {
  if (daemonServes.kind === 'unseen') return unseen(daemonServes.why);
  if (daemonServes.kind === 'failed') return failed(daemonServes.error, 'systemctl start dmthin');
  const address = config.ok ? config.config.address : '';
  if (daemonServes.value) return ok(`serves at ${address}`);
  return problem(
    `answers at ${address}, and refuses what needs the pool`,
    'see the line "pool" above; the daemon tries again by itself, and its log has the reason: journalctl -u dmthin',
  );
}

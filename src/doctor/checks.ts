/** What `dmthin doctor` looks at, in the order in which it prints it. docs/operations.md repeats this table; a test holds them equal. */
export const CHECKS = {
  rights: 'it runs as root; without that most of the rest cannot be seen',
  config: "dmthin's configuration is there and has no problems",
  'device-mapper': 'the kernel has device-mapper and answers over the configured transport',
  targets: 'the kernel has the targets `thin-pool` and `thin`',
  dmsetup: '`dmsetup` is installed: needed with `transport = "dmsetup"`, else only by people',
  filesystem: 'the programs that make and grow the configured filesystem are installed',
  'thin-tools': '`thin_ls`, `thin_check` and `thin_repair` are installed',
  pool: 'the pool is there, read-write, and needs no check',
  geometry: "the pool's table and metadata size suit its data and the configuration",
  'data-space': 'the pool has data blocks left',
  'metadata-space': 'the pool has metadata blocks left',
  'file-space': "the filesystem below the pool's files has room for what they may still grow",
  'store-space': "the filesystem of the snapshot store's directory has room",
  udev: 'where udevd runs, the rule that keeps it off our devices is installed',
  limits: 'the daemon may open enough files',
  containerd: 'containerd is installed, 1.6 or later, and its configuration can be read',
  'proxy-plugin': 'containerd has a proxy plugin with our address, under a name that is free',
  'built-in': "containerd's built-in devmapper snapshotter does not use our pool",
  cri: "CRI's snapshotter is ours, for all runtimes or for some",
  unpack: 'the transfer service of containerd 2.x unpacks for every snapshotter that is used',
  daemon: 'the daemon answers, and lets calls through to the pool',
} as const;

export type CheckName = keyof typeof CHECKS;

export const CHECK_NAMES: readonly CheckName[] = keysOf(CHECKS);

function keysOf<T extends object>(table: T): readonly (keyof T & string)[] {
  const names: (keyof T & string)[] = [];
  for (const name in table) names.push(name);
  return names;
}

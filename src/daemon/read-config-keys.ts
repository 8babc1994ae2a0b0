/** What each configuration key means, for people: `dmthin config default` prints it, docs/configuration.md repeats it. */
import { DEFAULT_ADDRESS, DEFAULT_ROOT_PATH } from './config.ts';
import type { ConfigKey } from './read-config-schema.ts';

export interface KeyExplanation {
  /** Lines of at most 100 characters. */
  readonly about: readonly string[];
  /** The default as TOML; for a required key, and one without a default, a value to start from. */
  readonly value: string;
  readonly required: boolean;
  /** Has no default: printed as a comment. */
  readonly unset?: boolean;
  /** Read by containerd's built-in devmapper snapshotter too, with the same meaning. */
  readonly original: boolean;
}

const UNSET = { required: false, original: false, unset: true } as const;

/** In the order in which they are printed: a table's keys together, after those of the top level. */
export const CONFIG_KEYS = {
  pool_name: {
    about: ['The thin pool, by its name in /dev/mapper. "dmthin pool create" makes one.'],
    value: '"dmthin-pool"',
    required: true,
    original: true,
  },
  base_image_size: {
    about: [
      'The virtual size of a new device: what a container can write at most. It costs nothing until it is',
      'written. Units K, M, G, T, P, each with or without B or iB, all binary: "10GB" is 10 GiB.',
    ],
    value: '"10GB"',
    required: true,
    original: true,
  },
  root_path: {
    about: ['The directory of the snapshot store. Empty: the default. The flag --root wins.'],
    value: JSON.stringify(DEFAULT_ROOT_PATH),
    required: false,
    original: true,
  },
  fs_type: {
    about: ['The filesystem of new devices: "ext4", "xfs" or "ext2". Existing snapshots keep theirs.'],
    value: '"ext4"',
    required: false,
    original: true,
  },
  fs_options: {
    about: ['Options for mkfs. Empty: the defaults that suit thin devices.'],
    value: '""',
    required: false,
    original: true,
  },
  async_remove: {
    about: [
      'true: Remove only marks a snapshot; its device is deleted in the background and at the next Cleanup.',
      'false: Remove answers when the device is gone.',
    ],
    value: 'false',
    required: false,
    original: true,
  },
  discard_blocks: {
    about: ['true: discard the blocks of a device before it is deleted, so that a loop file shrinks again.'],
    value: 'false',
    required: false,
    original: true,
  },
  address: {
    about: ['The unix socket that containerd connects to. The flag --address wins.'],
    value: JSON.stringify(DEFAULT_ADDRESS),
    required: false,
    original: false,
  },
  transport: {
    about: [
      'How device-mapper is reached: "ioctl" (fast, /dev/mapper/control), "dmsetup" (the program), or "auto":',
      'ioctl where it works, else dmsetup.',
    ],
    value: '"auto"',
    required: false,
    original: false,
  },
  busy_timeout: {
    about: [
      'How long Remove waits for a device that is still open before it refuses and leaves everything as it',
      'was: "500ms", "2s", at most "1m".',
    ],
    value: '"2s"',
    required: false,
    original: false,
  },
  log_level: {
    about: ['"trace", "debug", "info", "warn", "error" or "fatal". The flag --log-level wins.'],
    value: '"info"',
    required: false,
    original: false,
  },
  'pool.loop_dir': {
    about: [
      'The pool lies in two sparse files in this directory, behind loop devices. "dmthin serve" makes it, and',
      'assembles it again after a reboot. It never formats over anything.',
    ],
    value: '"/var/lib/dmthin/pool"',
    ...UNSET,
  },
  'pool.data_size': {
    about: ['Size of the data file when it is made; a pool that is there keeps its size.'],
    value: '"100G"',
    ...UNSET,
  },
  'pool.metadata_size': {
    about: ['Size of the metadata when the pool is made. By default it follows from the size of the data.'],
    value: '"216M"',
    ...UNSET,
  },
  'pool.data_device': {
    about: ['Instead of loop_dir: the disk, partition or logical volume that holds the data.'],
    value: '"/dev/nvme1n1p2"',
    ...UNSET,
  },
  'pool.metadata_device': {
    about: ['The one that holds the metadata.'],
    value: '"/dev/nvme1n1p1"',
    ...UNSET,
  },
  'pool.device': {
    about: [
      'Instead: one disk for both. Its first part, of metadata_size, holds the metadata, the rest the data.',
    ],
    value: '"/dev/nvme1n1"',
    ...UNSET,
  },
  'pool.block_size': {
    about: ['Unit of allocation of a new pool, a multiple of 64K. A pool that is there must have it.'],
    value: '"64K"',
    ...UNSET,
  },
  'pool.lvm': {
    about: [
      "Instead: a thin pool of LVM's, as VG/POOL. It is activated and used, never changed. pool_name is what",
      '"dmthin pool create --lvm VG/POOL" prints.',
    ],
    value: '"vg0/containers"',
    ...UNSET,
  },
  'pool.max_data_size': {
    about: [
      'A pool on loop files grows by itself up to this size when less than 20 % is free. Unset: only its',
      'metadata grows by itself.',
    ],
    value: '"500G"',
    ...UNSET,
  },
  'pool.min_free_data': {
    about: ['Below this no new snapshot is made: "2%", or a size such as "10G". What exists keeps the rest.'],
    value: '"2%"',
    required: false,
    original: false,
  },
  'pool.min_free_metadata': {
    about: ['The same for the metadata.'],
    value: '"5%"',
    required: false,
    original: false,
  },
  'pool.on_low_space': {
    about: [
      'A program and its arguments, run when less than 20 % is free and the pool cannot grow by itself, and',
      'again below 10, 5 and 2 %. It learns which pool from DMTHIN_* in its environment.',
    ],
    value: '["/usr/local/sbin/grow-pool"]',
    ...UNSET,
  },
} as const satisfies Record<ConfigKey, KeyExplanation>;

/** A configuration file with every key, its explanation and its default. */
export function defaultConfigText(): string {
  let text = '# dmthin configuration. Check a change with: dmthin config check FILE\n';
  let table: string | undefined;
  for (const [name, explanation] of Object.entries<KeyExplanation>(CONFIG_KEYS)) {
    const { about, value, required, unset = false } = explanation;
    const [key = '', inTable] = name.split('.').toReversed();
    if (inTable !== table) text += `\n[${inTable ?? ''}]\n`;
    table = inTable;
    const comments = [...about, ...(required ? ['Required.'] : [])].map((line) => `# ${line}\n`);
    text += `\n${comments.join('')}${unset ? '# ' : ''}${key} = ${value}\n`;
  }
  return text;
}

/** Every configuration key: what it accepts and what it becomes. Their explanations: read-config-keys.ts. */
import * as v from 'valibot';
import { toDmthinError } from '../base/errors.ts';
import { LOG_LEVELS } from '../base/log.ts';
import { dmName, formatSize, parseDurationMs, parseSize } from '../base/units.ts';
import { FS_TYPES, type FsType } from '../filesystem/types.ts';
import { parseAddress } from '../grpc/address.ts';
import { MAX_POOL_NAME_LENGTH } from '../pool/names.ts';
import { INHERITED_ADDRESS } from '../systemd/activation.ts';
import { DEFAULT_ADDRESS, DEFAULT_ROOT_PATH } from './config.ts';
import { type PoolKey, poolSchema } from './read-config-pool-schema.ts';
import { suggest } from './read-config-suggest.ts';

const MIB = 1024 * 1024;

/**
 * The smallest device that each mkfs accepts, with a journal where the filesystem has one (mkfs.xfs refuses below
 * 300 MiB since xfsprogs 5.19; mkfs.ext4 leaves the journal out below 2048 blocks of 1 KiB).
 */
export const MIN_FS_BYTES = {
  ext4: 2 * MIB,
  xfs: 300 * MIB,
  ext2: MIB,
} as const satisfies Record<FsType, number>;

const TRANSPORTS = ['auto', 'ioctl', 'dmsetup'] as const;

const quoted = (example: string) => v.string(`must be text in quotes, such as "${example}"`);
const flag = () => v.optional(v.boolean('must be true or false, without quotes'), false);

function oneOf<const T extends string>(words: readonly T[], fallback: T) {
  return v.optional(
    v.pipe(
      quoted(fallback),
      v.transform((text) => (text === '' ? fallback : text)),
      v.picklist(words, (issue) => {
        const near = suggest(String(issue.input), words);
        return `${JSON.stringify(issue.input)} is not one of ${words.join(', ')}${near === undefined ? '' : ` (did you mean ${near}?)`}`;
      }),
    ),
    fallback,
  );
}

const poolName = v.pipe(
  quoted('dmthin-pool'),
  v.nonEmpty('is required'),
  v.maxLength(
    MAX_POOL_NAME_LENGTH,
    `is longer than the ${MAX_POOL_NAME_LENGTH} characters that leave room for the names of the pool's devices`,
  ),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const text = dataset.value;
    if (text.startsWith('/dev/mapper/')) {
      addIssue({ message: `is the pool's name alone: ${JSON.stringify(text.slice('/dev/mapper/'.length))}` });
      return NEVER;
    }
    try {
      return dmName(text);
    } catch {
      addIssue({
        message: `${JSON.stringify(text)} is not a device-mapper name: A-Z a-z 0-9 # + - . : = @ _`,
      });
      return NEVER;
    }
  }),
);

const baseImageSize = v.pipe(
  quoted('10GB'),
  v.nonEmpty('is required'),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const size = parseSize(dataset.value);
    if (size === undefined || size === 0) {
      addIssue({
        message: `${JSON.stringify(dataset.value)} is not a size such as "10GB" (above 0, below 8 PiB)`,
      });
      return NEVER;
    }
    return size;
  }),
);

/** More would only keep a garbage collection waiting. */
const MAX_BUSY_TIMEOUT_MS = 60_000;
const DEFAULT_BUSY_TIMEOUT = '2s';

const busyTimeout = v.pipe(
  quoted(DEFAULT_BUSY_TIMEOUT),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const timeoutMs = parseDurationMs(dataset.value);
    if (timeoutMs === undefined || timeoutMs > MAX_BUSY_TIMEOUT_MS) {
      addIssue({
        message: `${JSON.stringify(dataset.value)} is not a time such as "500ms" or "2s", at most "1m"`,
      });
      return NEVER;
    }
    return timeoutMs;
  }),
);

const address = v.pipe(
  quoted(DEFAULT_ADDRESS),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    if (dataset.value === INHERITED_ADDRESS) return INHERITED_ADDRESS;
    try {
      return parseAddress(dataset.value === '' ? DEFAULT_ADDRESS : dataset.value);
    } catch (error) {
      addIssue({ message: toDmthinError(error, 'address').detail.what });
      return NEVER;
    }
  }),
);

const rootPath = v.pipe(
  quoted(DEFAULT_ROOT_PATH),
  v.transform((text) => (text === '' ? DEFAULT_ROOT_PATH : text)),
  v.check((text) => text.startsWith('/'), 'must be an absolute path'),
);

const entries = {
  pool_name: poolName,
  base_image_size: baseImageSize,
  root_path: v.optional(rootPath, ''),
  async_remove: flag(),
  discard_blocks: flag(),
  fs_type: oneOf(FS_TYPES, 'ext4'),
  fs_options: v.optional(quoted('-i 8192'), ''),
  address: v.optional(address, ''),
  transport: oneOf(TRANSPORTS, 'auto'),
  busy_timeout: v.optional(busyTimeout, DEFAULT_BUSY_TIMEOUT),
  log_level: oneOf(LOG_LEVELS, 'info'),
  pool: poolSchema,
};

/** Unknown keys pass unseen here: read-config.ts reports them, because it can also suggest. */
export const configSchema = v.pipe(
  v.object(entries),
  v.forward(
    v.partialCheck(
      [['base_image_size'], ['fs_type']],
      ({ base_image_size: size, fs_type: type }) => size >= MIN_FS_BYTES[type],
      (issue) => tooSmall(issue.input.base_image_size, issue.input.fs_type),
    ),
    ['base_image_size'],
  ),
);

function tooSmall(size: number, type: FsType): string {
  return `${formatSize(size)} is too small for ${type}, which needs at least ${formatSize(MIN_FS_BYTES[type])}`;
}

/** Keys of the table [pool] as `pool.KEY`. */
export type ConfigKey = Exclude<keyof typeof entries, 'pool'> | `pool.${PoolKey}`;
export type ConfigValues = v.InferOutput<typeof configSchema>;

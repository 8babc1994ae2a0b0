/** The table [pool]: what each key accepts, and which keys exclude each other. Explanations: read-config-keys.ts. */
import * as v from 'valibot';
import { toDmthinError } from '../base/errors.ts';
import { type Bytes, parseSize } from '../base/units.ts';
import { DEFAULT_FLOORS, type Floor } from '../pool/health.ts';
import { formatLvmVolume, lvmPoolNames, parseLvmVolume } from '../pool/lvm-names.ts';
import type { DescribedBacking } from '../pool/provision-ensure.ts';
import { checkBlockSize, checkMetadataSize } from '../pool/provision-geometry.ts';
import type { PoolSettings } from './config.ts';

/** Empty text is the same as no key at all. */
const text = (example: string) =>
  v.optional(
    v.pipe(
      v.string(`must be text in quotes, such as "${example}"`),
      v.transform((value) => (value === '' ? undefined : value)),
    ),
  );

const path = (example: string) =>
  v.pipe(
    text(example),
    v.check((value) => value === undefined || value.startsWith('/'), 'must be an absolute path'),
  );

/** @param check throws what is wrong with the size, and may make something else of it. */
function size<T>(example: string, check: (size: Bytes) => T) {
  return v.pipe(
    text(example),
    v.rawTransform(({ dataset, addIssue, NEVER }): T | undefined => {
      if (dataset.value === undefined) return undefined;
      const parsed = parseSize(dataset.value);
      if (parsed === undefined || parsed === 0) {
        addIssue({
          message: `${JSON.stringify(dataset.value)} is not a size such as "${example}" (above 0, below 8 PiB)`,
        });
        return NEVER;
      }
      try {
        return check(parsed);
      } catch (error) {
        addIssue({ message: toDmthinError(error, 'size').detail.what });
        return NEVER;
      }
    }),
  );
}

/** `5%` or `10G`. */
function floor(fallback: Floor) {
  const schema = v.pipe(
    v.string('must be text in quotes, such as "5%"'),
    v.rawTransform(({ dataset, addIssue, NEVER }): Floor => {
      if (dataset.value === '') return fallback;
      const percent = /^(\d+(?:\.\d+)?)\s*%$/.exec(dataset.value)?.[1];
      if (percent !== undefined && Number(percent) < 100) return { percent: Number(percent) };
      const parsed = parseSize(dataset.value);
      if (parsed !== undefined) return { bytes: parsed };
      addIssue({
        message: `${JSON.stringify(dataset.value)} is neither a share such as "5%" nor a size such as "10G"`,
      });
      return NEVER;
    }),
  );
  return v.optional(schema, '');
}

const lvmVolume = v.pipe(
  text('vg0/containers'),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    if (dataset.value === undefined) return undefined;
    try {
      return parseLvmVolume(dataset.value);
    } catch (error) {
      addIssue({ message: toDmthinError(error, 'lvm').detail.what });
      return NEVER;
    }
  }),
);

const COMMAND = 'must be a list of texts, such as ["/usr/local/sbin/grow-pool", "--now"]';

const command = v.optional(
  v.pipe(
    v.array(v.string(COMMAND), COMMAND),
    v.check(
      ([program]) => program === undefined || program.startsWith('/'),
      'must begin with the absolute path of a program',
    ),
    v.transform((argv) => (argv.length === 0 ? undefined : argv)),
  ),
);

const entries = {
  loop_dir: path('/var/lib/dmthin/pool'),
  data_size: size('100G', (parsed) => parsed),
  metadata_size: size('216M', checkMetadataSize),
  data_device: path('/dev/nvme1n1p2'),
  metadata_device: path('/dev/nvme1n1p1'),
  device: path('/dev/nvme1n1'),
  block_size: size('64K', checkBlockSize),
  lvm: lvmVolume,
  max_data_size: size('500G', (parsed) => parsed),
  min_free_data: floor(DEFAULT_FLOORS.data),
  min_free_metadata: floor(DEFAULT_FLOORS.metadata),
  on_low_space: command,
};

const table = v.pipe(
  v.object(entries, 'must be a table: [pool]'),
  v.forward(
    v.partialCheck(
      [['max_data_size'], ['data_size']],
      ({ max_data_size: max, data_size: size }) => max === undefined || size === undefined || max >= size,
      'is less than data_size',
    ),
    ['max_data_size'],
  ),
);

export const poolSchema = v.optional(table, {});

export type PoolKey = keyof typeof entries;
type PoolValues = v.InferOutput<typeof poolSchema>;

export interface Contradiction {
  readonly key: PoolKey;
  /** A clause that follows the key. */
  readonly what: string;
}

/** Keys that make no sense beside each other, or miss one that they need; seen by which are set, whatever their values. */
export function findContradictions(table: Readonly<Record<string, unknown>>): Contradiction[] {
  const has = (key: PoolKey): boolean => table[key] !== undefined && table[key] !== '';
  const found: Contradiction[] = [];
  const both = (key: PoolKey, other: PoolKey): void => {
    if (has(key) && has(other)) {
      found.push({ key, what: `cannot stand beside ${other}: a pool is on files, on disks or of LVM` });
    }
  };
  const needs = (key: PoolKey, other: PoolKey): void => {
    if (has(key) && !has(other)) found.push({ key: other, what: `is required beside ${key}` });
  };
  const only = (key: PoolKey, other: PoolKey, why: string): void => {
    if (has(key) && !has(other)) found.push({ key, what: `goes with ${other} only: ${why}` });
  };
  both('data_device', 'loop_dir');
  both('metadata_device', 'loop_dir');
  both('max_data_size', 'data_device');
  for (const key of ['loop_dir', 'data_device', 'metadata_device', 'max_data_size'] as const) {
    both('device', key);
    both('lvm', key);
  }
  both('lvm', 'device');
  both('lvm', 'block_size');
  needs('loop_dir', 'data_size');
  if (!has('loop_dir')) {
    needs('data_device', 'metadata_device');
    needs('metadata_device', 'data_device');
    only('data_size', 'loop_dir', 'disks are taken whole');
    if (!has('device')) only('metadata_size', 'loop_dir', 'disks are taken whole');
    if (!has('data_device') && !has('device') && !has('lvm') && has('block_size')) {
      found.push({ key: 'block_size', what: 'goes with loop_dir, device or data_device only' });
    }
  }
  return found;
}

export function toPoolSettings(values: PoolValues): PoolSettings {
  return {
    backing: toBacking(values),
    blockSectors: values.block_size,
    floors: { data: values.min_free_data, metadata: values.min_free_metadata },
    maxDataBytes: values.max_data_size,
    onLowSpace: values.on_low_space,
  };
}

function toBacking(values: PoolValues): DescribedBacking | undefined {
  if (values.lvm !== undefined) return { kind: 'lvm', lvm: values.lvm };
  const { loop_dir: directory, data_device: data, metadata_device: metadata } = values;
  if (directory !== undefined) {
    return { kind: 'loop', directory, dataBytes: values.data_size, metadataBytes: values.metadata_size };
  }
  if (values.device !== undefined)
    return { kind: 'disk', device: values.device, metadataBytes: values.metadata_size };
  return data !== undefined && metadata !== undefined ? { kind: 'devices', data, metadata } : undefined;
}

/** @returns what is wrong with the pool's name beside `lvm`; undefined when nothing is, or `lvm` itself is wrong. */
export function checkLvmName(poolName: unknown, lvm: unknown): string | undefined {
  if (typeof poolName !== 'string' || typeof lvm !== 'string' || lvm === '') return undefined;
  try {
    const volume = parseLvmVolume(lvm);
    const names: readonly string[] = lvmPoolNames(volume);
    if (names.includes(poolName)) return undefined;
    return `is not what LVM calls ${formatLvmVolume(volume)}: "${names[0] ?? ''}", or "${names[1] ?? ''}" as long as it has had no thin volumes of LVM's`;
  } catch {
    return undefined;
  }
}

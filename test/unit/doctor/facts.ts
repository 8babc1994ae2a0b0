/** A sound node, of which tests break one piece at a time. */
import assert from 'node:assert/strict';
import { bytes, dmName } from '../../../src/base/units.ts';
import type { ContainerdConfig } from '../../../src/containerd/config-view.ts';
import { parseConfig } from '../../../src/daemon/read-config.ts';
import type { Facts, Known } from '../../../src/doctor/facts.ts';
import type { PoolReport } from '../../../src/pool/provision-status.ts';

export const GiB = 1024 ** 3;
export const MiB = 1024 ** 2;
export const ADDRESS = '/run/dmthin/dmthin.sock';

export function known<T>(value: T): Known<T> {
  return { kind: 'known', value };
}

export const CONFIG_TEXT = 'pool_name = "p"\nbase_image_size = "10GB"\n';

export function configOf(more = ''): Facts['config'] {
  const config = parseConfig(CONFIG_TEXT + more, 'config.toml');
  assert.ok(config.ok || more !== '');
  return config;
}

type Figures = NonNullable<PoolReport['figures']>;

export function poolOf(
  overrides: Partial<PoolReport> = {},
  figures: Partial<Figures> = {},
): Known<PoolReport> {
  return known({
    name: dmName('p'),
    mode: 'rw',
    suspended: false,
    figures: {
      data: space(10, 100 * 1024),
      metadata: space(1, 128),
      transactionId: 0n,
      needsCheck: false,
      whenFull: 'queue',
      ...figures,
    },
    blockBytes: bytes(64 * 1024),
    lowWaterBytes: bytes(5 * GiB),
    features: [],
    activeThins: [],
    backing: {
      data: { device: '/dev/loop0', file: '/pool/p.data', ours: true, allocatedBytes: bytes(GiB) },
      metadata: { device: '/dev/loop1', file: '/pool/p.meta', ours: true, allocatedBytes: bytes(MiB) },
    },
    raw: 'STATUS',
    ...overrides,
  });
}

/** In MiB. */
export function space(used: number, total: number): Figures['data'] {
  return { usedBytes: bytes(used * MiB), totalBytes: bytes(total * MiB) };
}

export const PLUGIN = {
  name: 'dmthin',
  type: 'snapshot',
  address: ADDRESS,
  exportsRoot: '/var/lib/dmthin',
  capabilities: [],
} as const;

export function containerdOf(
  config: Partial<ContainerdConfig> = {},
  version: Facts['containerd']['version'] = { major: 2, minor: 1, patch: 0 },
): Facts['containerd'] {
  return {
    version,
    configPath: '/etc/containerd/config.toml',
    config: known({
      version: 3,
      proxyPlugins: [PLUGIN],
      criEnabled: true,
      criSnapshotter: 'dmthin',
      runtimeSnapshotters: {},
      discardsUnpackedLayers: false,
      pullsLocally: false,
      unpack: [{ platform: 'linux', snapshotter: 'dmthin' }],
      builtInPool: undefined,
      ...config,
    }),
  };
}

export function soundFacts(overrides: Partial<Facts> = {}): Facts {
  return {
    isRoot: true,
    kernelRelease: '6.1.0',
    config: configOf(),
    dm: known({
      transport: 'ioctl',
      version: [4, 47, 0],
      targets: [
        { name: 'thin-pool', version: [1, 22, 0] },
        { name: 'thin', version: [1, 22, 0] },
      ],
    }),
    missingPrograms: [],
    pool: poolOf(),
    fileFreeBytes: known(bytes(200 * GiB)),
    storeFreeBytes: known(bytes(10 * GiB)),
    udev: { runs: true, rulePath: '/etc/udev/rules.d/09-dmthin.rules' },
    limits: { of: 'daemon', openFiles: 65_536 },
    containerd: containerdOf(),
    daemonServes: known(true),
    ...overrides,
  };
}

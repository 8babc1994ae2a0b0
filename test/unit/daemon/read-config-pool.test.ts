import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PoolSettings } from '../../../src/daemon/config.ts';
import { NO_POOL } from '../../fakes/pool-settings.ts';
import { formatProblem, parseConfig } from '../../../src/daemon/read-config.ts';

const REQUIRED = 'pool_name = "p"\nbase_image_size = "1GB"\n';

function poolOf(table: string): PoolSettings {
  const result = parseConfig(`${REQUIRED}[pool]\n${table}`, 'FILE');
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  return result.config.pool;
}

function problemsOf(text: string): string[] {
  const result = parseConfig(text, 'FILE');
  assert.ok(!result.ok, 'a configuration with problems was accepted');
  return result.problems.map(formatProblem);
}

describe('the table [pool]', () => {
  it('describes a pool on loop files', () => {
    const table = 'loop_dir = "/p"\ndata_size = "2G"\nmetadata_size = "8M"\nblock_size = "128K"\n';
    assert.deepEqual(poolOf(table), {
      ...NO_POOL,
      backing: { kind: 'loop', directory: '/p', dataBytes: 2 ** 31, metadataBytes: 2 ** 23 },
      blockSectors: 256,
    });
  });

  it('describes a pool on disks', () => {
    assert.deepEqual(poolOf('data_device = "/dev/a"\nmetadata_device = "/dev/b"\n').backing, {
      kind: 'devices',
      data: '/dev/a',
      metadata: '/dev/b',
    });
  });

  it('names a pool of LVM, which must have the name that LVM gives it', () => {
    const of = (name: string) =>
      `pool_name = "${name}"\nbase_image_size = "1G"\n[pool]\nlvm = "my-vg/pool"\n`;
    for (const name of ['my--vg-pool-tpool', 'my--vg-pool']) {
      const result = parseConfig(of(name), 'FILE');
      assert.ok(result.ok);
      assert.deepEqual(result.config.pool.backing, { kind: 'lvm', lvm: { group: 'my-vg', volume: 'pool' } });
    }
    assert.deepEqual(problemsOf(of('pool')), [
      `FILE:1: pool_name is not what LVM calls my-vg/pool: "my--vg-pool-tpool", or "my--vg-pool" as long as it has had no thin volumes of LVM's`,
    ]);
    assert.deepEqual(problemsOf(`${REQUIRED}[pool]\nlvm = "pool"`), [
      'FILE:4: pool.lvm "pool" is not a volume group and a pool in it, such as "vg0/containers"',
    ]);
  });

  it('when empty, or of empty text, describes none', () => {
    assert.equal(poolOf('').backing, undefined);
    assert.equal(poolOf('loop_dir = ""\ndata_size = ""\nblock_size = ""\n').backing, undefined);
  });

  it('has all its problems told at once, with those of the top level, each at its line', () => {
    const text = `pool_name = "p"
base_image_size = "0"
[pool]
loop_dir = "relative"
data_sice = "1G"
metadata_size = "1K"
block_size = "65K"
data_device = 3
`;
    assert.deepEqual(problemsOf(text), [
      'FILE:2: base_image_size "0" is not a size such as "10GB" (above 0, below 8 PiB)',
      'FILE:3: pool.data_size is required beside loop_dir',
      'FILE:4: pool.loop_dir must be an absolute path',
      'FILE:5: pool.data_sice is not a key of dmthin (did you mean pool.data_size?)',
      'FILE:6: pool.metadata_size 1 KiB is not a metadata size: a multiple of 4 KiB, from 2 MiB to 15.8 GiB',
      'FILE:7: pool.block_size 65 KiB is not a block size: a multiple of 64 KiB, up to 1 GiB',
      'FILE:8: pool.data_device cannot stand beside loop_dir: a pool is on files, on disks or of LVM',
      'FILE:8: pool.data_device must be text in quotes, such as "/dev/nvme1n1p2"',
    ]);
  });

  for (const [table, problem] of [
    ['data_device = "/dev/a"', 'FILE:3: pool.metadata_device is required beside data_device'],
    ['metadata_device = "/dev/a"', 'FILE:3: pool.data_device is required beside metadata_device'],
    ['data_size = "1G"', 'FILE:4: pool.data_size goes with loop_dir only: disks are taken whole'],
    ['block_size = "64K"', 'FILE:4: pool.block_size goes with loop_dir, device or data_device only'],
  ] as const) {
    it(`refuses ${table} alone`, () => {
      assert.deepEqual(problemsOf(`${REQUIRED}[pool]\n${table}`), [problem]);
    });
  }

  it('bounds growth, keeps room and names a command', () => {
    const table = `loop_dir = "/p"
data_size = "1G"
max_data_size = "2G"
min_free_data = "3G"
min_free_metadata = "7.5 %"
on_low_space = ["/bin/grow", "it"]`;
    const { floors, maxDataBytes, onLowSpace } = poolOf(table);
    assert.deepEqual(floors, { data: { bytes: 3 * 2 ** 30 }, metadata: { percent: 7.5 } });
    assert.equal(maxDataBytes, 2 ** 31);
    assert.deepEqual(onLowSpace, ['/bin/grow', 'it']);
    assert.deepEqual(poolOf('min_free_data = ""\non_low_space = []'), NO_POOL);
  });

  for (const [table, problem] of [
    [
      'min_free_data = "100%"',
      'min_free_data "100%" is neither a share such as "5%" nor a size such as "10G"',
    ],
    ['min_free_metadata = 5', 'min_free_metadata must be text in quotes, such as "5%"'],
    [
      'on_low_space = "/bin/true"',
      'on_low_space must be a list of texts, such as ["/usr/local/sbin/grow-pool", "--now"]',
    ],
    ['on_low_space = ["grow"]', 'on_low_space must begin with the absolute path of a program'],
  ] as const) {
    it(`refuses ${table}`, () => {
      assert.deepEqual(problemsOf(`${REQUIRED}[pool]\n${table}`), [`FILE:4: pool.${problem}`]);
    });
  }

  it('refuses a limit below the size, and one for disks', () => {
    assert.deepEqual(
      problemsOf(`${REQUIRED}[pool]\nloop_dir = "/p"\ndata_size = "2G"\nmax_data_size = "1G"`),
      ['FILE:6: pool.max_data_size is less than data_size'],
    );
    const disks = 'data_device = "/a"\nmetadata_device = "/b"\nmax_data_size = "1G"';
    assert.deepEqual(problemsOf(`${REQUIRED}[pool]\n${disks}`), [
      'FILE:6: pool.max_data_size cannot stand beside data_device: a pool is on files, on disks or of LVM',
    ]);
  });

  it('is a table', () => {
    assert.deepEqual(problemsOf(`${REQUIRED}pool = 3`), ['FILE:3: pool must be a table: [pool]']);
  });

  it("may stand below containerd's devmapper table", () => {
    const text = `version = 2
[plugins."io.containerd.snapshotter.v1.devmapper"]
  pool_name = "p"
  base_image_size = "1GB"
  [plugins."io.containerd.snapshotter.v1.devmapper".pool]
    loop_dir = "x"
    data_size = "1G"
[pool]
  loop_dir = "not ours"
`;
    assert.deepEqual(problemsOf(text), ['FILE:6: pool.loop_dir must be an absolute path']);
  });
});

/** Each check, sound and broken. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { bytes } from '../../../src/base/units.ts';
import { CHECK_NAMES, CHECKS, type CheckName } from '../../../src/doctor/checks.ts';
import type { Facts } from '../../../src/doctor/facts.ts';
import type { Level } from '../../../src/doctor/finding.ts';
import { judge } from '../../../src/doctor/judge.ts';
import { parseOpenFiles } from '../../../src/doctor/read-machine.ts';
import { ADDRESS, configOf, containerdOf, GiB, known, PLUGIN, poolOf, soundFacts, space } from './facts.ts';

const lost = new DmthinError('unavailable', { op: 'x', what: 'gone', nextStep: 'bring it back' });
const failed = { kind: 'failed', error: lost } as const;
const OLD = { major: 1, minor: 5, patch: 9 };
const V16 = { major: 1, minor: 6, patch: 20 };

type Case = readonly [CheckName, Level, RegExp, Partial<Facts>];

const CASES: readonly Case[] = [
  ['rights', 'problem', /root -> .*sudo/, { isRoot: false }],
  ['config', 'problem', /log_level.* -> dmthin config check/, { config: configOf('log_level = "loud"\n') }],
  ['device-mapper', 'problem', /gone -> bring it back/, { dm: failed }],
  [
    'targets',
    'problem',
    /no target thin-pool, thin -> modprobe/,
    { dm: known({ ...(soundFacts().dm as { value: object }).value, targets: [] } as never) },
  ],
  ['dmsetup', 'warning', /not installed/, { missingPrograms: ['dmsetup'] }],
  [
    'dmsetup',
    'problem',
    /needs it/,
    { missingPrograms: ['dmsetup'], config: configOf('transport = "dmsetup"\n') },
  ],
  [
    'filesystem',
    'problem',
    /"ext4" needs mkfs.ext4 -> install e2fsprogs/,
    { missingPrograms: ['mkfs.ext4', 'mkfs.xfs'] },
  ],
  [
    'filesystem',
    'problem',
    /needs mkfs.xfs and xfs_growfs -> install xfsprogs/,
    { config: configOf('fs_type = "xfs"\n'), missingPrograms: ['mkfs.xfs', 'xfs_growfs'] },
  ],
  [
    'thin-tools',
    'problem',
    /thin_ls, thin_repair not installed/,
    { missingPrograms: ['thin_ls', 'thin_repair'] },
  ],
  ['pool', 'problem', /gone -> bring it back/, { pool: failed }],
  [
    'pool',
    'problem',
    /has failed: STATUS -> .*thin_repair/,
    { pool: poolOf({ mode: 'fail', figures: undefined }) },
  ],
  ['pool', 'problem', /read-only: STATUS -> dmesg/, { pool: poolOf({ mode: 'ro' }) }],
  ['pool', 'problem', /needs a check/, { pool: poolOf({ mode: 'ro' }, { needsCheck: true }) }],
  ['pool', 'problem', /out of data space/, { pool: poolOf({ mode: 'out_of_data_space' }) }],
  ['pool', 'problem', /suspended.* -> dmsetup resume p/, { pool: poolOf({ suspended: true }) }],
  [
    'geometry',
    'warning',
    /8 MiB of metadata cannot map 100 GiB/,
    { pool: poolOf({}, { metadata: space(1, 8) }) },
  ],
  [
    'geometry',
    'warning',
    /ignore_discard/,
    { config: configOf('discard_blocks = true\n'), pool: poolOf({ features: ['ignore_discard'] }) },
  ],
  [
    'geometry',
    'warning',
    /p\.data never shrinks/,
    { config: configOf('discard_blocks = true\n'), pool: poolOf({ features: ['no_discard_passdown'] }) },
  ],
  ['geometry', 'ok', /blocks of 64 KiB/, { pool: poolOf({ features: ['ignore_discard'] }) }],
  [
    'data-space',
    'warning',
    /^8\.0 % free of 100 GiB/,
    { pool: poolOf({}, { data: space(92 * 1024, 100 * 1024) }) },
  ],
  [
    'data-space',
    'warning',
    /^20\.0 % free/,
    { pool: poolOf({ lowWaterBytes: bytes(30 * GiB) }, { data: space(80 * 1024, 100 * 1024) }) },
  ],
  ['data-space', 'problem', /refused/, { pool: poolOf({}, { data: space(99 * 1024, 100 * 1024) }) }],
  [
    'data-space',
    'problem',
    /^25\.0 % free of 100 GiB: new snapshots are refused/,
    {
      config: configOf('[pool]\nmin_free_data = "30G"\n'),
      pool: poolOf({}, { data: space(75 * 1024, 100 * 1024) }),
    },
  ],
  ['metadata-space', 'warning', /^10\.9 % free/, { pool: poolOf({}, { metadata: space(114, 128) }) }],
  ['metadata-space', 'problem', /refused/, { pool: poolOf({}, { metadata: space(125, 128) }) }],
  [
    'file-space',
    'warning',
    /p\.data may grow by 99 GiB.* has 50 GiB free/,
    { fileFreeBytes: known(bytes(50 * GiB)) },
  ],
  [
    'store-space',
    'problem',
    /only 1 MiB free at \/var\/lib\/dmthin/,
    { storeFreeBytes: known(bytes(1024 ** 2)) },
  ],
  ['udev', 'warning', /without our rule.* -> copy packaging/, { udev: { runs: true, rulePath: undefined } }],
  ['udev', 'ok', /by itself/, { udev: { runs: false, rulePath: undefined } }],
  ['limits', 'warning', /this shell .* 256 files.*LimitNOFILE/, { limits: { of: 'self', openFiles: 256 } }],
  ['containerd', 'problem', /1\.5\.9 is too old/, { containerd: containerdOf({}, OLD) }],
  ['containerd', 'problem', /gone/, { containerd: { ...containerdOf(), config: failed } }],
  ['containerd', 'warning', /in PATH/, { containerd: { ...containerdOf(), version: undefined } }],
  [
    'proxy-plugin',
    'problem',
    /does not know dmthin/,
    { containerd: { ...containerdOf(), config: known(undefined) } },
  ],
  [
    'proxy-plugin',
    'ok',
    /there is no/,
    { containerd: { ...containerdOf(), version: undefined, config: known(undefined) } },
  ],
  [
    'proxy-plugin',
    'problem',
    /called devmapper.*id already registered/,
    { containerd: containerdOf({ proxyPlugins: [{ ...PLUGIN, name: 'devmapper' }] }) },
  ],
  [
    'proxy-plugin',
    'problem',
    /no proxy plugin has our address .*; there is dmthin at \/else -> dmthin config containerd/,
    { containerd: containerdOf({ proxyPlugins: [{ ...PLUGIN, address: '/else' }] }) },
  ],
  [
    'proxy-plugin',
    'problem',
    /bare path/,
    { containerd: containerdOf({ proxyPlugins: [{ ...PLUGIN, address: `unix://${ADDRESS}` }] }) },
  ],
  [
    'proxy-plugin',
    'problem',
    /type = "content"/,
    { containerd: containerdOf({ proxyPlugins: [{ ...PLUGIN, type: 'content' }] }) },
  ],
  [
    'proxy-plugin',
    'problem',
    /claims rebase/,
    { containerd: containerdOf({ proxyPlugins: [{ ...PLUGIN, capabilities: ['rebase'] }] }) },
  ],
  [
    'proxy-plugin',
    'warning',
    /exports.root/,
    { containerd: containerdOf({ proxyPlugins: [{ ...PLUGIN, exportsRoot: undefined }] }) },
  ],
  [
    'proxy-plugin',
    'ok',
    /dmthin at/,
    { containerd: containerdOf({ proxyPlugins: [{ ...PLUGIN, exportsRoot: undefined }] }, V16) },
  ],
  ['built-in', 'problem', /our pool p.*disabled_plugins/, { containerd: containerdOf({ builtInPool: 'p' }) }],
  ['built-in', 'ok', /the pool q/, { containerd: containerdOf({ builtInPool: 'q' }) }],
  [
    'cri',
    'problem',
    /snapshotter devmapper, which is containerd's own/,
    { containerd: containerdOf({ criSnapshotter: 'devmapper' }) },
  ],
  ['cri', 'warning', /CRI uses overlayfs/, { containerd: containerdOf({ criSnapshotter: undefined }) }],
  [
    'cri',
    'ok',
    /dmthin for kata, overlayfs else/,
    { containerd: containerdOf({ criSnapshotter: undefined, runtimeSnapshotters: { kata: 'dmthin' } }) },
  ],
  [
    'cri',
    'ok',
    /CRI is disabled/,
    { containerd: containerdOf({ criEnabled: false, criSnapshotter: undefined }) },
  ],
  [
    'cri',
    'problem',
    /missing its layers/,
    {
      containerd: containerdOf({
        criSnapshotter: undefined,
        runtimeSnapshotters: { kata: 'dmthin' },
        discardsUnpackedLayers: true,
      }),
    },
  ],
  [
    'unpack',
    'problem',
    /no entry for dmthin.*no unpack platforms/,
    { containerd: containerdOf({ unpack: undefined }) },
  ],
  [
    'unpack',
    'problem',
    /no entry for overlayfs/,
    { containerd: containerdOf({ criSnapshotter: undefined }) },
  ],
  [
    'unpack',
    'warning',
    /CRI pulls locally/,
    { containerd: containerdOf({ unpack: [], pullsLocally: true }) },
  ],
  [
    'unpack',
    'problem',
    /the platform windows/,
    { containerd: containerdOf({ unpack: [{ platform: 'windows', snapshotter: 'dmthin' }] }) },
  ],
  ['unpack', 'ok', /1\.x/, { containerd: containerdOf({ unpack: undefined }, V16) }],
  ['daemon', 'problem', /gone -> bring it back/, { daemonServes: failed }],
  ['daemon', 'problem', /refuses what needs the pool.*journalctl/, { daemonServes: known(false) }],
];

function findingOf(check: CheckName, facts: Facts) {
  const finding = judge(facts).find((one) => one.check === check);
  assert.ok(finding);
  return finding;
}

describe('doctor', () => {
  it('finds nothing on a sound node', () => {
    assert.deepEqual(
      judge(soundFacts()).map(({ check, level }) => [check, level]),
      CHECK_NAMES.map((check) => [check, 'ok']),
    );
  });

  for (const [check, level, words, overrides] of CASES) {
    it(`${check}: ${level} ${words.source}`, () => {
      const finding = findingOf(check, soundFacts(overrides));
      assert.equal(finding.level, level, finding.what);
      assert.match(
        finding.remedy === undefined ? finding.what : `${finding.what} -> ${finding.remedy}`,
        words,
      );
      assert.equal(finding.remedy === undefined, level === 'ok');
    });
  }

  it('has a broken case here for every check', () => {
    const broken = new Set(CASES.filter(([, level]) => level !== 'ok').map(([check]) => check));
    assert.deepEqual(
      CHECK_NAMES.filter((check) => !broken.has(check)),
      [],
    );
  });

  it('does not take what it could not see for sound', () => {
    const unseen = { kind: 'unseen', why: 'only root can' } as const;
    const facts = soundFacts({
      isRoot: false,
      dm: unseen,
      pool: unseen,
      fileFreeBytes: unseen,
      daemonServes: unseen,
    });
    for (const check of [
      'device-mapper',
      'targets',
      'pool',
      'geometry',
      'data-space',
      'metadata-space',
      'file-space',
      'daemon',
    ] as const)
      assert.equal(findingOf(check, facts).level, 'warning', check);
  });

  it('is described in docs/operations.md, check by check', async () => {
    const text = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
    const section = /^## Doctor$(.*?)^## /ms.exec(text)?.[1] ?? '';
    const rows = [...section.matchAll(/^\| `([a-z-]+)` +\| (.*?) +\|$/gm)].map(([, name, about]) => [
      name,
      about,
    ]);
    assert.deepEqual(rows, Object.entries(CHECKS));
  });
});

it('reads the soft limit of open files', () => {
  const text =
    'Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n';
  assert.equal(parseOpenFiles(text), 1024);
  assert.equal(parseOpenFiles(text.replace('1024', 'unlimited')), Infinity);
});

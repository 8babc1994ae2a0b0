import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Config } from '../../../src/daemon/config.ts';
import { CONFIG_KEYS, defaultConfigText } from '../../../src/daemon/read-config-keys.ts';
import {
  type ConfigFlags,
  type ConfigProblem,
  formatProblem,
  loadConfig,
  parseConfig,
} from '../../../src/daemon/read-config.ts';
import { NO_POOL } from '../../fakes/pool-settings.ts';

const REQUIRED = 'pool_name = "p"\nbase_image_size = "1GB"\n';

function configOf(text: string, flags?: ConfigFlags): Config {
  const result = parseConfig(text, 'FILE', flags);
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  return result.config;
}

function problemsOf(text: string, flags?: ConfigFlags): string[] {
  const result = parseConfig(text, 'FILE', flags);
  assert.ok(!result.ok, 'a configuration with problems was accepted');
  return result.problems.map(formatProblem);
}

describe('a configuration of our own', () => {
  it('needs the pool and the size alone', () => {
    assert.deepEqual(configOf(REQUIRED), {
      rootPath: '/var/lib/dmthin',
      poolName: 'p',
      baseImageSizeBytes: 2 ** 30,
      asyncRemove: false,
      discardBlocks: false,
      fsType: 'ext4',
      fsOptions: '',
      address: '/run/dmthin/dmthin.sock',
      transport: 'auto',
      busyTimeoutMs: 2000,
      logLevel: 'info',
      pool: NO_POOL,
    });
  });

  it('takes every key', () => {
    const text = `${REQUIRED}root_path = "/r"
async_remove = true
discard_blocks = true
fs_type = "ext2"
fs_options = "-N 100"
address = "/run/a.sock"
transport = "dmsetup"
busy_timeout = "500ms"
log_level = "debug"
`;
    assert.deepEqual(configOf(text), {
      rootPath: '/r',
      poolName: 'p',
      baseImageSizeBytes: 2 ** 30,
      asyncRemove: true,
      discardBlocks: true,
      fsType: 'ext2',
      fsOptions: '-N 100',
      address: '/run/a.sock',
      transport: 'dmsetup',
      busyTimeoutMs: 500,
      logLevel: 'debug',
      pool: NO_POOL,
    });
  });

  it('takes empty text as "the default", as containerd writes it', () => {
    const config = configOf(`${REQUIRED}root_path = ""\nfs_type = ""\naddress = ""\n`);
    assert.equal(config.rootPath, '/var/lib/dmthin');
    assert.equal(config.fsType, 'ext4');
    assert.equal(config.address, '/run/dmthin/dmthin.sock');
  });

  for (const [text, size] of [
    ['8192MB', 2 ** 33],
    ['10GB', 10 * 2 ** 30],
    ['16Mb', 2 ** 24],
    ['32768KIB', 2 ** 25],
    ['1.5G', 1.5 * 2 ** 30],
  ] as const) {
    it(`reads the size ${text}`, () => {
      assert.equal(configOf(`pool_name = "p"\nbase_image_size = "${text}"`).baseImageSizeBytes, size);
    });
  }

  for (const [text, timeoutMs] of [
    ['0s', 0],
    ['500ms', 500],
    ['1.5s', 1500],
    ['1m', 60_000],
  ] as const) {
    it(`reads the time ${text}`, () => {
      assert.equal(configOf(`${REQUIRED}busy_timeout = "${text}"`).busyTimeoutMs, timeoutMs);
    });
  }

  for (const text of ['2', '61s', '-1s', '2h', '']) {
    it(`refuses ${JSON.stringify(text)} as a time to wait`, () => {
      const [problem] = problemsOf(`${REQUIRED}busy_timeout = "${text}"`);
      assert.match(problem ?? '', /busy_timeout ".*" is not a time such as "500ms" or "2s", at most "1m"/);
    });
  }

  it('lets flags win', () => {
    const flags = { root: '/flag', address: 'unix:///flag.sock', logLevel: 'error' };
    const config = configOf(
      `${REQUIRED}root_path = "/file"\naddress = "/file.sock"\nlog_level = "debug"`,
      flags,
    );
    assert.equal(config.rootPath, '/flag');
    assert.equal(config.address, '/flag.sock');
    assert.equal(config.logLevel, 'error');
  });
});

describe('problems', () => {
  it('are all reported at once, in the order of the file', () => {
    const text = `pool_nam = "x"
base_image_size = 10
fs_type = "xf"
root_path = "relative"
async_remove = "true"
baseImageSize = "1GB"
`;
    assert.deepEqual(problemsOf(text, { logLevel: 'loud' }), [
      'FILE:1: pool_nam is not a key of dmthin (did you mean pool_name?)',
      'FILE:2: base_image_size must be text in quotes, such as "10GB"',
      'FILE:3: fs_type "xf" is not one of ext4, xfs, ext2 (did you mean xfs?)',
      'FILE:4: root_path must be an absolute path',
      'FILE:5: async_remove must be true or false, without quotes',
      'FILE:6: baseImageSize is not a key of dmthin (did you mean base_image_size?)',
      'FILE: pool_name is required',
      '--log-level: "loud" is not one of trace, debug, info, warn, error, fatal',
    ]);
  });

  const line2 = (line: string) => problemsOf(`pool_name = "p"\n${line}`);
  for (const [line, problem] of [
    ['base_image_size = ""', 'FILE:2: base_image_size is required'],
    [
      'base_image_size = "0"',
      'FILE:2: base_image_size "0" is not a size such as "10GB" (above 0, below 8 PiB)',
    ],
    [
      'base_image_size = "-1GB"',
      'FILE:2: base_image_size "-1GB" is not a size such as "10GB" (above 0, below 8 PiB)',
    ],
    [
      'base_image_size = "ten"',
      'FILE:2: base_image_size "ten" is not a size such as "10GB" (above 0, below 8 PiB)',
    ],
    [
      'base_image_size = "9PB"',
      'FILE:2: base_image_size "9PB" is not a size such as "10GB" (above 0, below 8 PiB)',
    ],
    [
      'base_image_size = "1MB"',
      'FILE:2: base_image_size 1 MiB is too small for ext4, which needs at least 2 MiB',
    ],
  ] as const) {
    it(`has a sentence for ${line}`, () => assert.deepEqual(line2(line), [problem]));
  }

  it('knows what xfs needs, whatever else is wrong', () => {
    assert.deepEqual(problemsOf('base_image_size = "299MB"\nfs_type = "xfs"'), [
      'FILE:1: base_image_size 299 MiB is too small for xfs, which needs at least 300 MiB',
      'FILE: pool_name is required',
    ]);
  });

  for (const [name, problem] of [
    ['/dev/mapper/pool', 'is the pool\'s name alone: "pool"'],
    ['a/b', '"a/b" is not a device-mapper name: A-Z a-z 0-9 # + - . : = @ _'],
    ['', 'is required'],
    [
      'x'.repeat(111),
      "is longer than the 110 characters that leave room for the names of the pool's devices",
    ],
  ] as const) {
    it(`refuses the pool name ${JSON.stringify(name)}`, () => {
      assert.deepEqual(problemsOf(`pool_name = "${name}"\nbase_image_size = "1GB"`), [
        `FILE:1: pool_name ${problem}`,
      ]);
    });
  }

  it('refuse a socket that the kernel cannot bind', () => {
    const long = `/${'x'.repeat(107)}`;
    assert.match(
      problemsOf(`${REQUIRED}address = "${long}"`).join('\n'),
      /^FILE:3: address ".*" has 108 bytes; [^\n]*$/,
    );
    assert.deepEqual(problemsOf(REQUIRED, { address: 'a.sock' }), [
      '--address: "a.sock" is not the absolute path of a unix socket',
    ]);
  });

  it('name the line of a syntax error', () => {
    assert.deepEqual(problemsOf(`${REQUIRED}fs_type = = 1`), ['FILE:3: not valid TOML: invalid value']);
  });

  it('give no line where the text sets a key twice, as in a multi-line string', () => {
    assert.deepEqual(
      problemsOf('pool_name = "p"\nfs_options = """\nbase_image_size = 1"""\nbase_image_size = 2'),
      ['FILE: base_image_size must be text in quotes, such as "10GB"'],
    );
  });
});

describe("containerd's own file", () => {
  const fixture = (name: string) => new URL(`fixtures/${name}`, import.meta.url).pathname;

  for (const name of ['containerd-v1.toml', 'containerd-v2.toml', 'containerd-v3.toml']) {
    it(`${name} works unchanged`, async () => {
      const result = await loadConfig(fixture(name));
      assert.deepEqual(result, {
        ok: true,
        config: {
          rootPath: '/var/lib/containerd/devmapper',
          poolName: 'devpool',
          baseImageSizeBytes: 2 ** 33,
          asyncRemove: true,
          discardBlocks: true,
          fsType: 'xfs',
          fsOptions: '-m crc=1',
          address: '/run/dmthin/dmthin.sock',
          transport: 'auto',
          busyTimeoutMs: 2000,
          logLevel: 'info',
          pool: NO_POOL,
        },
      });
    });
  }

  it('has its problems at the lines of the devmapper table', () => {
    const text = `version = 2
[plugins."io.containerd.snapshotter.v1.overlayfs"]
  root_path = "not ours"
[plugins."io.containerd.snapshotter.v1.devmapper"]
  pool_name = "p"
  root_path = "relative"
  base_image_sise = "1GB"
[plugins."io.containerd.snapshotter.v1.native"]
  root_path = "not ours either"
`;
    assert.deepEqual(problemsOf(text), [
      'FILE:6: root_path must be an absolute path',
      'FILE:7: base_image_sise is not a key of dmthin (did you mean base_image_size?)',
      'FILE: base_image_size is required',
    ]);
  });

  it('as containerd prints its defaults, lacks the required keys', () => {
    const text = `version = 2
[plugins]
  [plugins."io.containerd.snapshotter.v1.devmapper"]
    async_remove = false
    base_image_size = ""
    discard_blocks = false
    fs_options = ""
    fs_type = ""
    pool_name = ""
    root_path = ""
`;
    assert.deepEqual(problemsOf(text), [
      'FILE:5: base_image_size is required',
      'FILE:9: pool_name is required',
    ]);
  });

  it('without the table is not taken for ours', () => {
    const [problem, ...others] = problemsOf('version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n');
    assert.match(problem ?? '', /is containerd's configuration, without a table \[plugins\./);
    assert.deepEqual(others, []);
  });
});

describe('loading', () => {
  const load = async (path: string | undefined): Promise<readonly ConfigProblem[]> => {
    const result = await loadConfig(path);
    return result.ok ? [] : result.problems;
  };

  it('reports a file that is asked for and not there', async () => {
    assert.deepEqual(await load('/nonexistent/dmthin.toml'), [
      { source: '/nonexistent/dmthin.toml', what: 'does not exist' },
    ]);
  });

  it('reports a file that cannot be read', async () => {
    assert.deepEqual(await load('/'), [{ source: '/', what: 'cannot be read: EISDIR' }]);
  });

  it('reads a file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dmthin-config-'));
    try {
      const file = join(directory, 'config.toml');
      await writeFile(file, REQUIRED);
      assert.deepEqual(await load(file), []);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('the printed default', () => {
  it('is accepted, and holds the defaults', () => {
    const shown = configOf(defaultConfigText());
    const defaults = configOf('pool_name = "dmthin-pool"\nbase_image_size = "10GB"');
    assert.deepEqual(shown, defaults);
  });

  it('sets every key once', () => {
    const [top = '', ...tables] = defaultConfigText().split(/^(?=\[)/m);
    const keysOf = (text: string) => [...text.matchAll(/^(?:# )?(\w+) = /gm)].map((match) => match[1] ?? '');
    const keys = tables.flatMap((text) =>
      keysOf(text).map((key) => `${/^\[(\w+)\]/.exec(text)?.[1] ?? ''}.${key}`),
    );
    assert.deepEqual([...keysOf(top), ...keys], Object.keys(CONFIG_KEYS));
  });
});

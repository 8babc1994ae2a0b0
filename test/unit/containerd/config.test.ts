import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hasCode } from '../../../src/base/errors.ts';
import { mergeConfigFiles, readConfigFiles } from '../../../src/containerd/config-files.ts';
import { type ContainerdConfig, viewConfig } from '../../../src/containerd/config-view.ts';

/** Writes `files` (path below the directory -> text) and reads config.toml. */
async function read(t: TestContext, files: Record<string, string>, deep = true): Promise<ContainerdConfig> {
  const directory = await write(t, files);
  const found = await readConfigFiles(join(directory, 'config.toml'));
  assert.ok(found !== undefined);
  return viewConfig(mergeConfigFiles(found, deep));
}

async function write(t: TestContext, files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'containerd-config-'));
  t.after(() => rm(directory, { recursive: true }));
  await mkdir(join(directory, 'conf.d'));
  for (const [path, text] of Object.entries(files)) await writeFile(join(directory, path), text);
  return directory;
}

const PLUGIN = '[proxy_plugins.dmthin]\ntype = "snapshot"\naddress = "/s"\n';

test('all three versions of the format say the same', async (t) => {
  const one = `${PLUGIN}
[plugins.cri.containerd]
snapshotter = "dmthin"
[plugins.cri.containerd.runtimes.kata]
snapshotter = "thin"
[plugins.devmapper]
pool_name = "p"
`;
  const two = `version = 2\n${one.replaceAll('plugins.cri', 'plugins."io.containerd.grpc.v1.cri"').replace('plugins.devmapper', 'plugins."io.containerd.snapshotter.v1.devmapper"')}`;
  const three = `version = 3
${PLUGIN}
[plugins.'io.containerd.cri.v1.images']
snapshotter = "dmthin"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]
snapshotter = "thin"
[plugins.'io.containerd.snapshotter.v1.devmapper']
pool_name = "p"
# Where version 2 had it: ignored now.
[plugins.'io.containerd.grpc.v1.cri'.containerd]
snapshotter = "other"
`;
  for (const [version, text] of [
    [1, one],
    [2, two],
    [3, three],
  ] as const) {
    assert.deepEqual(await read(t, { 'config.toml': text }), {
      version,
      proxyPlugins: [
        { name: 'dmthin', type: 'snapshot', address: '/s', exportsRoot: undefined, capabilities: [] },
      ],
      criEnabled: true,
      criSnapshotter: 'dmthin',
      runtimeSnapshotters: { kata: 'thin' },
      discardsUnpackedLayers: false,
      pullsLocally: false,
      unpack: undefined,
      builtInPool: 'p',
    });
  }
});

test('disabled plugins are no users of anything, under their short names too', async (t) => {
  const short = 'disabled_plugins = ["cri", "devmapper"]\n[plugins.devmapper]\npool_name = "p"\n';
  const view = await read(t, { 'config.toml': short });
  assert.deepEqual([view.criEnabled, view.builtInPool], [false, undefined]);
});

test('the transfer service, exports and capabilities are read', async (t) => {
  const view = await read(t, {
    'config.toml': `version = 3
[proxy_plugins.x]
type = "snapshot"
address = "/x"
capabilities = ["rebase"]
exports = { root = "/r" }
[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]
platform = "linux"
snapshotter = "x"
[plugins.'io.containerd.cri.v1.images']
use_local_image_pull = true
discard_unpacked_layers = true
`,
  });
  assert.deepEqual(view.unpack, [{ platform: 'linux', snapshotter: 'x' }]);
  assert.deepEqual(
    [view.proxyPlugins[0]?.exportsRoot, view.proxyPlugins[0]?.capabilities],
    ['/r', ['rebase']],
  );
  assert.deepEqual([view.pullsLocally, view.discardsUnpackedLayers], [true, true]);
});

const ROOT = `version = 3
imports = ["conf.d/*.toml", "./last.toml"]
[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"
discard_unpacked_layers = true
`;
const IMPORTS = {
  'config.toml': ROOT,
  'conf.d/1.toml':
    "imports = ['../config.toml']\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'one'\n",
  'conf.d/2.toml': PLUGIN,
  'last.toml': "[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'last'\n",
};

test('imports are laid over the file in order, relative ones and patterns, and a circle ends', async (t) => {
  const view = await read(t, IMPORTS);
  assert.equal(view.version, 3, 'the version is the first file’s');
  assert.equal(view.criSnapshotter, 'last');
  assert.equal(view.proxyPlugins.length, 1);
});

test('2.0 keeps the keys that an import does not set; before, an import replaces a plugin’s table whole', async (t) => {
  assert.equal((await read(t, IMPORTS, true)).discardsUnpackedLayers, true);
  assert.equal((await read(t, IMPORTS, false)).discardsUnpackedLayers, false);
});

test('what ends containerd’s start is an error that names the file; no file at all is none', async (t) => {
  const directory = await write(t, {
    'broken.toml': 'version = 3\n= 4\n',
    'lost.toml': 'imports = ["/nowhere.toml"]',
    'odd.toml': 'imports = "x"',
  });
  for (const [name, words] of [
    ['broken.toml', /broken\.toml line 2 is not TOML/],
    ['lost.toml', /\/nowhere\.toml is imported and does not exist/],
    ['odd.toml', /odd\.toml imports is not a list/],
    ['conf.d', /conf\.d cannot be read: EISDIR/],
  ] as const) {
    await assert.rejects(
      readConfigFiles(join(directory, name)),
      (error) => hasCode(error, 'config') && words.test(error.message),
    );
  }
  assert.equal(await readConfigFiles(join(directory, 'absent.toml')), undefined);
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'smol-toml';
import { DmthinError } from '../../../src/base/errors.ts';
import type { RunProcess } from '../../../src/base/process.ts';
import { BUILT_IN_SNAPSHOTTERS } from '../../../src/containerd/version.ts';
import { createCli } from './harness.ts';

/** As plain objects: the parser's have no prototype. */
const readToml = (text: string): unknown => JSON.parse(JSON.stringify(parse(text)));

const fixture = (name: string) => new URL(`../daemon/fixtures/${name}`, import.meta.url).pathname;

describe('config default', () => {
  it('prints TOML with every key', async () => {
    const { code, out } = await createCli().dmthin('config', 'default');
    assert.equal(code, 0);
    assert.deepEqual(readToml(out), {
      pool_name: 'dmthin-pool',
      base_image_size: '10GB',
      root_path: '/var/lib/dmthin',
      fs_type: 'ext4',
      fs_options: '',
      async_remove: false,
      discard_blocks: false,
      address: '/run/dmthin/dmthin.sock',
      transport: 'auto',
      busy_timeout: '2s',
      log_level: 'info',
      pool: { min_free_data: '2%', min_free_metadata: '5%' },
    });
  });
});

describe('config check', () => {
  it('shows the settings that a file results in', async () => {
    const file = fixture('containerd-v2.toml');
    const { code, out } = await createCli().dmthin('config', 'check', file);
    assert.equal(code, 0);
    assert.match(
      out,
      /^.*containerd-v2\.toml: ok\n {2}pool_name {8}"devpool"\n {2}base_image_size {2}"8 GiB"\n/,
    );
    const json = JSON.parse((await createCli().dmthin('config', 'check', file, '--json')).out) as {
      settings: Record<string, unknown>;
    };
    assert.equal(json.settings['base_image_size'], 2 ** 33);
    assert.equal(json.settings['fs_type'], 'xfs');
  });

  it('ends with 78 when the file has problems', async () => {
    const { code, out, err } = await createCli().dmthin('config', 'check', '/nonexistent');
    assert.deepEqual([code, out], [78, '']);
    assert.equal(err, 'dmthin: the configuration has 1 problem\n  /nonexistent: does not exist');
  });
});

describe('config containerd', () => {
  const snippet = async (version: string, ...args: string[]) => {
    const { code, out } = await createCli().dmthin(
      'config',
      'containerd',
      '--containerd-version',
      version,
      ...args,
    );
    assert.equal(code, 0);
    return readToml(out);
  };
  const plugin = { type: 'snapshot', address: '/run/dmthin/dmthin.sock' };
  const cri = {
    'io.containerd.grpc.v1.cri': { containerd: { snapshotter: 'dmthin', discard_unpacked_layers: false } },
  };

  it('for 1.6 and 1.7 uses configuration version 2', async () => {
    for (const version of ['1.6', '1.6.31', '1.7.15']) {
      assert.deepEqual(await snippet(version), {
        version: 2,
        proxy_plugins: { dmthin: plugin },
        plugins: cri,
      });
    }
  });

  it('names the directory to the releases that read it', async () => {
    for (const version of ['1.6.32', '1.7.16', '1.8']) {
      assert.deepEqual(await snippet(version, '--root', '/r'), {
        version: 2,
        proxy_plugins: { dmthin: { ...plugin, exports: { root: '/r' } } },
        plugins: cri,
      });
    }
  });

  const three = (name: string) => ({
    'io.containerd.cri.v1.images': { snapshotter: name },
    'io.containerd.transfer.v1.local': { unpack_config: [{ platform: 'linux', snapshotter: name }] },
  });

  it('for 2.x uses version 3 and the transfer service', async () => {
    for (const version of ['2.0.5', '2.1', '2.2.1', '3.0']) {
      assert.deepEqual(await snippet(version), {
        version: 3,
        proxy_plugins: { dmthin: { ...plugin, exports: { root: '/var/lib/dmthin' } } },
        plugins: three('dmthin'),
      });
    }
  });

  it('takes another name and socket', async () => {
    assert.deepEqual(await snippet('2.0', '--name', 'thin', '--address', '/run/thin.sock'), {
      version: 3,
      proxy_plugins: {
        thin: { type: 'snapshot', address: '/run/thin.sock', exports: { root: '/var/lib/dmthin' } },
      },
      plugins: three('thin'),
    });
  });

  it('refuses the names of built-in snapshotters and says why', async () => {
    assert.ok(BUILT_IN_SNAPSHOTTERS.includes('devmapper'));
    for (const name of [...BUILT_IN_SNAPSHOTTERS, 'a.b', '']) {
      const { code, out, err } = await createCli().dmthin('config', 'containerd', '--name', name);
      assert.deepEqual([code, out], [64, ''], name);
      if (name === 'devmapper') assert.match(err, /built-in snapshotter.*"id already registered"/);
    }
  });

  it('refuses versions before 1.6 and what is no version', async () => {
    for (const version of ['1.5.9', '0.9', 'latest']) {
      const { code } = await createCli().dmthin('config', 'containerd', '--containerd-version', version);
      assert.equal(code, 64, version);
    }
  });

  it('asks the installed containerd for its version', async () => {
    const run: RunProcess = (file, args) => {
      assert.deepEqual([file, ...args], ['containerd', '--version']);
      const stdout = 'containerd github.com/containerd/containerd v2.1.4 75cb2b7\n';
      return Promise.resolve({ exitCode: 0, stdout, stderr: '' });
    };
    const { out } = await createCli({ run }).dmthin('config', 'containerd', '--json');
    const json = JSON.parse(out) as Record<string, unknown>;
    assert.equal(json['containerd_version'], '2.1.4');
    assert.equal(json['config_version'], 3);
  });

  it('without a containerd prints what 1.6 and 1.7 read, and says so', async () => {
    const run: RunProcess = () =>
      Promise.reject(new DmthinError('unsupported', { op: 'x', what: 'not installed' }));
    const { code, out } = await createCli({ run }).dmthin('config', 'containerd');
    assert.equal(code, 0);
    assert.match(
      out,
      /^# No containerd was found here: this is for 1\.6 and 1\.7\. For 2\.x: --containerd-version 2\.1/,
    );
    assert.deepEqual(readToml(out), { version: 2, proxy_plugins: { dmthin: plugin }, plugins: cri });
  });
});

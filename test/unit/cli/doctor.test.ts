import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { CHECK_NAMES } from '../../../src/doctor/checks.ts';
import { createCli } from './harness.ts';

interface Report {
  readonly ok: boolean;
  readonly findings: readonly { check: string; level: string; what: string; remedy?: string }[];
}

async function files(t: TestContext): Promise<{ config: string; containerd: string; args: string[] }> {
  const directory = await mkdtemp(join(tmpdir(), 'doctor-'));
  t.after(() => rm(directory, { recursive: true }));
  const config = join(directory, 'config.toml');
  const containerd = join(directory, 'containerd.toml');
  const address = join(directory, 'dmthin.sock');
  await writeFile(
    config,
    `pool_name = "p"\nbase_image_size = "1GB"\nroot_path = "${directory}"\naddress = "${address}"\n`,
  );
  await writeFile(
    containerd,
    `version = 2\n[proxy_plugins.dmthin]\ntype = "snapshot"\naddress = "${address}"\n`,
  );
  return { config, containerd, args: ['--config', config, '--containerd-config', containerd] };
}

describe('doctor', () => {
  it('prints a line for every check with the remedy below, and ends with 1 when there is a problem', async (t) => {
    const { args } = await files(t);
    const { code, out, err } = await createCli().dmthin('doctor', ...args);
    assert.deepEqual([code, err], [1, '']);
    assert.deepEqual(
      [...out.matchAll(/^(?:ok|warning|problem) +([a-z-]+) /gm)].map(([, name]) => name),
      CHECK_NAMES,
    );
    // The fake machine has neither a pool nor a daemon.
    assert.match(out, /^problem {2}pool {12}.*no device of that name\n {25}-> .*pool create/m);
    assert.match(out, /^problem {2}daemon .*not in this test$/m);
    assert.match(out, /\n\n\d+ problems, \d+ warnings?$/);
  });

  it('prints the same as JSON', async (t) => {
    const { args } = await files(t);
    const { code, out } = await createCli().dmthin('doctor', ...args, '--json');
    const report = JSON.parse(out) as Report;
    assert.deepEqual([code, report.ok], [1, false]);
    assert.deepEqual(
      report.findings.map(({ check }) => check),
      CHECK_NAMES,
    );
    assert.equal(report.findings.find(({ check }) => check === 'proxy-plugin')?.level, 'ok');
  });

  it('without a usable configuration still looks at everything else', async (t) => {
    const { containerd } = await files(t);
    const { code, out } = await createCli().dmthin(
      ...['doctor', '--config', '/nowhere.toml', '--containerd-config', containerd, '--json'],
    );
    const report = JSON.parse(out) as Report;
    const levelOf = (name: string) => report.findings.find(({ check }) => check === name)?.level;
    assert.equal(code, 1);
    assert.deepEqual(['config', 'device-mapper', 'pool', 'containerd'].map(levelOf), [
      'problem',
      'ok',
      'warning',
      'warning',
    ]);
  });

  it('asks neither the kernel nor the daemon for anybody but root', async (t) => {
    const { args } = await files(t);
    const openDm = () => assert.fail('device-mapper was opened');
    const { code, out } = await createCli({ isRoot: () => false, openDm }).dmthin('doctor', ...args);
    assert.equal(code, 1);
    assert.match(out, /^problem {2}rights .*\n.*sudo$/m);
    assert.match(out, /^warning {2}daemon .*only root can$/m);
  });
});

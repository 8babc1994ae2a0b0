/**
 * The Debian package on a machine with real systemd and udevd: installed, used, restarted, upgraded, removed, purged.
 * `npm run package -- --arch amd64 --quick --out .cache/package` builds it; npm test does so before.
 */
import assert from 'node:assert/strict';
import { existsSync, lstatSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readVersion } from '../../packaging/deb/build.ts';
import { connect, type SnapshotsClient } from '../../src/grpc/client.ts';
import { run } from '../e2e/harness/run.ts';
import { waitFor } from '../e2e/harness/wait.ts';
import { type BootableMachine, createMachine } from './machine.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const PACKAGES = join(CHECKOUT, '.cache/package');
const POOL = 'dmthin-pool';
const CONFIG = '/etc/dmthin/config.toml';
const SOCKET = '/run/dmthin/dmthin.sock';

let machine: BootableMachine;
let deb: string;

before(async () => {
  deb = join(PACKAGES, `dmthin_${await readVersion(CHECKOUT)}_amd64.deb`);
  assert.ok(existsSync(deb), `there is no ${deb}`);
  machine = await createMachine();
});
after(async () => {
  await removeEverything();
  await machine[Symbol.asyncDispose]();
});

/** Devices and loop devices belong to the kernel, which the machine shares with this one. */
async function removeEverything(): Promise<void> {
  const names = (await run(['dmsetup', 'ls']))
    .split('\n')
    .flatMap((line) => /^(\S+)\t/.exec(line)?.[1] ?? []);
  const ours = names.filter((name) => name.startsWith(POOL)).sort((a, b) => b.length - a.length);
  for (const name of ours) await run(['dmsetup', 'remove', '--retry', name]);
  const loops = await run(['losetup', '--list', '--noheadings', '--output', 'NAME,BACK-FILE']);
  for (const line of loops.split('\n')) {
    const [device = '', file = ''] = line.trim().split(/\s+/);
    if (file.includes(`${POOL}.`)) await run(['losetup', '--detach', device]);
  }
}

const dpkg = (...args: string[]): Promise<string> => machine.run('dpkg', '--force-unsafe-io', ...args);

async function property(unit: string, name: string): Promise<string> {
  return (await machine.run('systemctl', 'show', '--value', `--property=${name}`, unit)).trim();
}

async function isServing(): Promise<void> {
  await waitFor('the daemon serves', 30_000, async () =>
    (await property('dmthin.service', 'StatusText')).startsWith('serving pool'),
  );
}

async function withClient<T>(body: (client: SnapshotsClient) => Promise<T>): Promise<T> {
  const client = await connect(machine.path(SOCKET));
  try {
    return await body(client);
  } finally {
    client.close();
  }
}

/** Mounts of our devices, in the machine's own namespace. */
async function mounts(): Promise<string[]> {
  return (await machine.run('cat', '/proc/1/mounts')).split('\n').filter((line) => line.includes(POOL));
}

describe('the package', () => {
  it('installs, with everything where it belongs and the units enabled', async () => {
    await dpkg('--install', deb);
    const at = (path: string): string => join(machine.root, path);
    for (const [path, mode] of [
      ['usr/lib/dmthin/bin/dmthin', 0o755],
      ['usr/lib/dmthin/src/cli/main.ts', 0o644],
      ['usr/lib/systemd/system/dmthin.service', 0o644],
      ['usr/lib/udev/rules.d/09-dmthin.rules', 0o644],
      ['usr/share/man/man8/dmthin.8.gz', 0o644],
      [CONFIG, 0o644],
    ] as const) {
      const found = lstatSync(at(path));
      assert.deepEqual([found.mode & 0o7777, found.uid, found.gid], [mode, 0, 0], path);
    }
    for (const link of ['sockets.target.wants/dmthin.socket', 'multi-user.target.wants/dmthin.service'])
      assert.ok(lstatSync(at(`etc/systemd/system/${link}`)).isSymbolicLink(), link);
    assert.match(await machine.run('dmthin', '--version'), /^\d+\.\d+\.\d+\n$/);
    assert.match(await machine.run('dmthin', 'config', 'check', CONFIG), /: ok\n/);
    const { stdout } = await machine.try('dpkg', '--verify', 'dmthin');
    assert.equal(stdout, '', 'every file is as it was packed');
  });

  it('serves after the boot, says that it waits for a pool, and takes the pool that appears', async () => {
    const text = await readFile(join(machine.root, CONFIG), 'utf8');
    await writeFile(
      join(machine.root, CONFIG),
      text.replace('base_image_size = "10GB"', 'base_image_size = "64MB"'),
    );
    await machine.boot(['dmthin.socket', 'dmthin.service']);
    assert.equal(await property('dmthin.service', 'ActiveState'), 'active');
    assert.match(await property('dmthin.service', 'StatusText'), /^waiting: .*the thin pool does not exist/);
    assert.equal(lstatSync(machine.path(SOCKET)).mode & 0o777, 0o600);
    await machine.run(
      'dmthin',
      'pool',
      'create',
      POOL,
      '--loop-dir',
      '/var/lib/dmthin/pool',
      '--data-size',
      '256M',
    );
    await isServing();
  });

  it('formats, snapshots and removes inside its hardening, and leaves no mount', async () => {
    await withClient(async (client) => {
      const [mount] = await client.prepare('a', '');
      assert.equal(mount?.type, 'ext4');
      await client.commit('layer', 'a');
      await client.prepare('kept', 'layer');
      await client.prepare('gone', 'layer');
      await client.remove('gone');
      const [kept] = await client.mounts('kept');
      assert.ok(existsSync(machine.path(kept?.source ?? '')), 'its link is in the /dev of the machine');
    });
    assert.deepEqual(await mounts(), []);
    const logs = await machine.run('journalctl', '--no-pager', '--unit=dmthin.service', '--priority=warning');
    assert.doesNotMatch(logs, /EPERM|EACCES|denied/);
  });

  it('has mounts of its own that nobody sees, and holds no mount that others have ended', async () => {
    const pid = await property('dmthin.service', 'MainPID');
    // A slave of the machine's mounts, and nobody's master: proc_pid_mountinfo(5).
    const root = (await machine.run('cat', `/proc/${pid}/mountinfo`))
      .split('\n')
      .find((line) => / \/ \/ /.test(line));
    assert.match(root ?? '', / master:\d+/);
    assert.doesNotMatch(root ?? '', / shared:/);
    const [mount] = await withClient((client) => client.mounts('kept'));
    assert.ok(mount);
    await machine.run('mount', mount.source, '/mnt');
    assert.match(await machine.run('cat', `/proc/${pid}/mounts`), new RegExp(mount.source));
    await machine.run('umount', '/mnt');
    assert.doesNotMatch(await machine.run('cat', `/proc/${pid}/mounts`), new RegExp(mount.source));
  });

  it('keeps udevd off its devices', async () => {
    await machine.run('udevadm', 'trigger', '--action=change', '--subsystem-match=block', '--settle');
    const [mount] = await withClient((client) => client.mounts('kept'));
    const facts = await machine.run('udevadm', 'info', '--query=property', mount?.source ?? '');
    assert.match(facts, /^DM_UDEV_DISABLE_OTHER_RULES_FLAG=1$/m);
    assert.doesNotMatch(facts, /^ID_FS_/m);
    assert.match(
      await machine.run('dmsetup', 'info', '--noheadings', '-c', '-o', 'open', mount?.source ?? ''),
      /^0\n/,
    );
  });

  it('is found sound by its own doctor', async () => {
    await writeFile(
      join(machine.root, 'tmp/containerd.toml'),
      await machine.run('dmthin', 'config', 'containerd', '--containerd-version', '1.6.20'),
    );
    const { exitCode, stdout } = await machine.try(
      'dmthin',
      'doctor',
      '--containerd-config',
      '/tmp/containerd.toml',
    );
    assert.equal(exitCode, 0, stdout);
    assert.match(stdout, /\n0 problems, \d warnings?\n$/);
    assert.match(stdout, /^ok {7}udev +our rule is/m);
    assert.match(stdout, /^ok {7}limits +the daemon may have 65536 files open/m);
  });

  it('is there again after SIGKILL; a call made during a restart waits and is answered', async () => {
    const pid = await property('dmthin.service', 'MainPID');
    await machine.run('kill', '-KILL', pid);
    await waitFor(
      'another daemon serves',
      30_000,
      async () => (await property('dmthin.service', 'MainPID')) !== pid,
    );
    await isServing();
    await withClient(async (client) => {
      const restart = machine.run('systemctl', 'restart', 'dmthin.service');
      await waitFor(
        'it stops',
        10_000,
        async () => (await property('dmthin.service', 'ActiveState')) !== 'active',
      );
      const patient = await connect(machine.path(SOCKET));
      assert.equal((await patient.stat('kept')).kind, 'active');
      patient.close();
      await restart;
      assert.equal((await client.stat('layer')).kind, 'committed');
    });
  });

  it('is upgraded with its configuration, its snapshots and its pool as they were', async () => {
    const pid = await property('dmthin.service', 'MainPID');
    await dpkg('--force-confold', '--install', deb);
    assert.notEqual(await property('dmthin.service', 'MainPID'), pid);
    await isServing();
    assert.match(await readFile(join(machine.root, CONFIG), 'utf8'), /base_image_size = "64MB"/);
    await withClient(async (client) => {
      assert.equal((await client.stat('kept')).parent, 'layer');
      await client.remove('kept');
    });
  });

  it('when removed stops, and leaves configuration, records and pool', async () => {
    await dpkg('--remove', 'dmthin');
    assert.equal(existsSync(machine.path(SOCKET)), false);
    assert.equal((await machine.try('systemctl', 'is-active', 'dmthin.service')).stdout.trim(), 'inactive');
    assert.equal(existsSync(join(machine.root, 'usr/lib/dmthin')), false);
    for (const path of [CONFIG, '/var/lib/dmthin/store.mdb', `/var/lib/dmthin/pool/${POOL}.data`])
      assert.ok(existsSync(machine.path(path)), path);
    assert.match(await machine.run('dmsetup', 'status', POOL), / thin-pool /);
  });

  it('when purged leaves only what holds data, and says so', async () => {
    const { exitCode, stderr } = await machine.try('dpkg', '--purge', 'dmthin');
    assert.equal(exitCode, 0);
    assert.match(stderr, /\/var\/lib\/dmthin is kept/);
    assert.equal(existsSync(machine.path('/etc/dmthin')), false);
    assert.equal(existsSync(machine.path('/var/cache/dmthin')), false);
    assert.ok(existsSync(machine.path(`/var/lib/dmthin/pool/${POOL}.data`)));
    assert.equal((await machine.try('dpkg-query', '--status', 'dmthin')).exitCode, 1);
  });

  it('installed anew takes up the records and the pool that were left', async () => {
    await dpkg('--install', deb);
    await isServing();
    await withClient(async (client) => {
      assert.equal((await client.stat('layer')).kind, 'committed');
      await client.remove('layer');
    });
    await dpkg('--remove', 'dmthin');
  });
});

import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ensurePackages, type Machine, missingPackages, packagesFor } from '../../../guest/requirements.ts';
import { hasCode } from '../../../src/base/errors.ts';

const NOWHERE = '/nonexistent/dmthin-test';
const APT = 'env DEBIAN_FRONTEND=noninteractive apt-get';
const INSTALL = `${APT} install --yes --no-install-recommends --no-remove`;

/** A machine without any of the programs, that notes what is run and refuses what `fails` matches. */
function bareMachine(more: Partial<Machine>, fails: (line: string) => boolean = () => false) {
  const ran: string[] = [];
  const machine: Machine = {
    directories: [NOWHERE],
    isRoot: true,
    hasSystemd: false,
    say: () => undefined,
    run: (file, args) => {
      const line = [file, ...args].join(' ');
      const exitCode = fails(line) ? 1 : 0;
      ran.push(line);
      return Promise.resolve({ exitCode, stdout: '', stderr: '' });
    },
    ...more,
  };
  return { machine, ran };
}

describe('required packages', () => {
  it('are listed once, whatever purposes want them', () => {
    assert.deepEqual(packagesFor(['guest', 'images']), [
      'busybox-static',
      'e2fsprogs',
      'mmdebstrap',
      'skopeo',
      'umoci',
      'user-mode-linux',
    ]);
    const both = packagesFor(['guest', 'pool']);
    assert.equal(new Set(both).size, both.length);
  });

  it('are missing when their program is in no directory', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'dmthin-test-'));
    assert.deepEqual(await missingPackages(['containerd'], [NOWHERE]), packagesFor(['containerd']));
    await writeFile(join(directory.path, 'runc'), '');
    assert.deepEqual(await missingPackages(['containerd'], [NOWHERE, directory.path]), [
      'containerd',
      'docker-registry',
      'iproute2',
    ]);
  });
});

describe('installing packages', () => {
  it('runs nothing when nothing is missing', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'dmthin-test-'));
    await writeFile(join(directory.path, 'patchelf'), '');
    const { machine, ran } = bareMachine({ directories: [directory.path] });
    await ensurePackages(['fast-kernel'], machine);
    assert.deepEqual(ran, []);
  });

  it('as root asks apt-get, which must not remove anything', async () => {
    const { machine, ran } = bareMachine({});
    await ensurePackages(['fast-kernel'], machine);
    assert.deepEqual(ran, [`${INSTALL} patchelf`]);
  });

  it('updates the package lists when apt-get does not find the package, and tries once more', async () => {
    let tries = 0;
    const { machine, ran } = bareMachine({}, (line) => line.includes(' install ') && ++tries === 1);
    await ensurePackages(['fast-kernel'], machine);
    assert.deepEqual(ran, [`${INSTALL} patchelf`, `${APT} update`, `${INSTALL} patchelf`]);
  });

  it('goes through sudo when that asks for no password', async () => {
    const { machine, ran } = bareMachine({ isRoot: false });
    await ensurePackages(['fast-kernel'], machine);
    assert.deepEqual(ran, ['sudo -n true', `sudo -n ${INSTALL} patchelf`]);
  });

  it('gives the line to run when this user may not install', async () => {
    const { machine, ran } = bareMachine({ isRoot: false }, (line) => line.startsWith('sudo'));
    await assert.rejects(
      ensurePackages(['fast-kernel'], machine),
      (error) =>
        hasCode(error, 'unsupported') &&
        error.detail.nextStep?.endsWith(
          'sudo apt-get install --yes --no-install-recommends --no-remove patchelf',
        ) === true,
    );
    assert.deepEqual(ran, ['sudo -n true']);
  });

  it('neither starts nor enables the services of what it installs, and leaves no mask behind', async () => {
    for (const failing of [false, true]) {
      const { machine, ran } = bareMachine(
        { hasSystemd: true },
        (line) => failing && line.includes('apt-get'),
      );
      const done = ensurePackages(['containerd'], machine);
      await (failing ? assert.rejects(done) : done);
      const systemctl = ran.flatMap((line) => /systemctl (.*)/.exec(line)?.[1] ?? []);
      assert.deepEqual(systemctl, [
        'mask --runtime containerd',
        'mask --runtime docker-registry',
        'unmask --runtime containerd',
        'unmask --runtime docker-registry',
        ...(failing ? [] : ['disable containerd', 'disable docker-registry']),
      ]);
      assert.ok(
        ran.findIndex((line) => line.includes('apt-get')) > ran.findIndex((line) => / mask /.test(line)),
      );
    }
  });
});

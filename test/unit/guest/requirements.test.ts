import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { installLine, missingPackages, packagesFor } from '../../../guest/requirements.ts';

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
    const nowhere = join(directory.path, 'nowhere');
    assert.deepEqual(await missingPackages(['containerd'], [nowhere]), packagesFor(['containerd']));
    await writeFile(join(directory.path, 'runc'), '');
    assert.deepEqual(await missingPackages(['containerd'], [nowhere, directory.path]), [
      'containerd',
      'docker-registry',
      'iproute2',
    ]);
  });

  it('are installed without removing anything', () => {
    assert.equal(installLine(['a', 'b']), 'apt-get install --yes --no-install-recommends --no-remove a b');
  });
});

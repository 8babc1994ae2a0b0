import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { createFindDeviceUsers } from '../../../src/pool/device-users.ts';

it('mounts and processes that have a device open are found', async () => {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'dmthin-users-'));
  stack.defer(() => rm(directory, { recursive: true }));
  const proc = join(directory, 'proc');
  for (const path of ['proc/self', 'proc/7/fd', 'proc/8/fd', 'proc/9'])
    await mkdir(join(directory, path), { recursive: true });
  await symlink('/dev/dm-4', join(proc, '7/fd/3'));
  await symlink('/dev/dm-44', join(proc, '8/fd/3'));
  await writeFile(
    join(proc, 'self/mountinfo'),
    '28 1 253:6 / /mnt/with\\040blank rw - ext4 /dev/dm-6 rw\n29 1 253:4 / /mnt/a rw - ext4 /dev/dm-4 rw\n30 1 253:44 / /mnt/b rw - ext4 /dev/dm-44 rw\n',
  );
  const findUsers = createFindDeviceUsers(proc);
  assert.deepEqual(await findUsers({ major: 253, minor: 4 }), ['mounted on /mnt/a', 'open in process 7']);
  assert.deepEqual(await findUsers({ major: 253, minor: 6 }), ['mounted on /mnt/with blank']);
  assert.deepEqual(await findUsers({ major: 253, minor: 5 }), []);
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { guestEnvironment, renderSettings } from '../../../guest/settings.ts';
import { bytes } from '../../../src/base/units.ts';
import { runChecked, runProcess } from '../../../src/base/process.ts';

const NASTY = `a'b "c" $HOME \`id\` \\ *\n\ttail`;

describe('what guest/init.sh reads', () => {
  it('means to a shell exactly what was given, whatever the words hold', async () => {
    const settings = {
      checkout: '/',
      hostFiles: '/tmp/x/files',
      modules: ['/m/a.ko', '/m/b.ko'],
      command: ['printf', '%s|', NASTY, '', '-n'],
      disks: [],
      keep: true,
    };
    const script = `${renderSettings(settings, { DMTHIN_NASTY: NASTY })}
      echo "$CHECKOUT $HOST_FILES $KEEP"; for module in $MODULES; do echo "$module"; done; sh -c "$COMMAND"`;
    const output = await runChecked(runProcess, '/bin/sh', ['-c', script]);
    assert.equal(output, `/ /tmp/x/files 1\n/m/a.ko\n/m/b.ko\n${NASTY}||-n|`);
  });

  it('starts the command in the checkout with the environment of guestEnvironment and nothing else', async () => {
    const settings = {
      checkout: '/usr',
      hostFiles: '/f',
      modules: [],
      command: ['sh', '-c', 'pwd; env'],
      disks: [],
      keep: false,
    };
    const script = `${renderSettings(settings, { DMTHIN_NASTY: NASTY })} sh -c "$COMMAND"`;
    const output = await runChecked(runProcess, '/bin/sh', ['-c', script], { env: { OUTER: '1' } });
    assert.match(output, /^\/usr\n/);
    assert.match(output, /^DMTHIN_SCRATCH=\/mnt\/scratch$/m);
    assert.doesNotMatch(output, /OUTER/);
  });
});

describe('the environment in the guest', () => {
  it('passes DMTHIN_* and a few more, names the disks, and finds the checkout’s programs first', () => {
    const env = guestEnvironment(
      {
        checkout: '/src/dmthin',
        disks: [
          { name: 'meta', sizeBytes: bytes(4096) },
          { name: 'data', path: '/d.img' },
        ],
      },
      {
        DMTHIN_X: '1',
        CI: 'true',
        SECRET: 'no',
        PATH: '/host',
        HOME: '/home/me',
        NODE_TEST_CONTEXT: 'child',
      },
    );
    const { PATH: path, ...rest } = env;
    assert.match(path ?? '', /^\/src\/dmthin\/node_modules\/\.bin:.*:\/usr\/sbin:.*:\/sbin:/);
    assert.deepEqual(rest, {
      UV_THREADPOOL_SIZE: '16',
      DMTHIN_X: '1',
      CI: 'true',
      DMTHIN_DISK_META: '/dev/ubdb',
      DMTHIN_DISK_DATA: '/dev/ubdc',
      HOME: '/tmp/home',
      USER: 'root',
      TMPDIR: '/tmp',
      LANG: 'C.UTF-8',
      DM_DISABLE_UDEV: '1',
      DMTHIN_GUEST: '1',
      DMTHIN_SCRATCH: '/mnt/scratch',
      DMTHIN_DISK: '/mnt/disk',
    });
  });
});

/** The units, as systemd itself reads them. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runProcess } from '../../../src/base/process.ts';
import { DEFAULT_ADDRESS, DEFAULT_ROOT_PATH } from '../../../src/daemon/config.ts';

const ROOT = join(import.meta.dirname, '../../..');
const UNITS = ['dmthin.service', 'dmthin.socket'] as const;
const INSTALLED = '/usr/bin/dmthin';
/** On systemd-analyze's scale from 0 to 10; a service without any of this has 9.6. */
const MAX_EXPOSURE = 30;

const skip = await runProcess('systemd-analyze', ['--version']).then(
  () => false as const,
  () => 'this machine has no systemd-analyze',
);

const read = (unit: string): Promise<string> => readFile(join(ROOT, 'packaging/systemd', unit), 'utf8');

/** The units beside each other, with a program that is there. */
async function installed(t: TestContext): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'units-'));
  t.after(() => rm(directory, { recursive: true }));
  const program = join(ROOT, 'bin/dmthin');
  return Promise.all(
    UNITS.map(async (unit) => {
      const path = join(directory, unit);
      await writeFile(path, (await read(unit)).replace(INSTALLED, program));
      return path;
    }),
  );
}

describe('the units', () => {
  it('have no word that systemd does not know', { skip }, async (t) => {
    const { exitCode, stdout, stderr } = await runProcess('systemd-analyze', [
      ...['verify', '--man=no', '--recursive-errors=no'],
      ...(await installed(t)),
    ]);
    assert.deepEqual([exitCode, stdout, stderr], [0, '', '']);
  });

  it('give the daemon little beyond what it needs', { skip }, async (t) => {
    const [service = ''] = await installed(t);
    const { exitCode, stdout } = await runProcess('systemd-analyze', [
      ...['security', '--offline=yes', `--threshold=${MAX_EXPOSURE}`],
      service,
    ]);
    assert.equal(exitCode, 0, stdout);
  });

  it('use the default places of the program', async () => {
    const service = await read('dmthin.service');
    assert.equal(`/var/lib/${/^StateDirectory=(.*)$/m.exec(service)?.[1] ?? ''}`, DEFAULT_ROOT_PATH);
    assert.equal(/^ListenStream=(.*)$/m.exec(await read('dmthin.socket'))?.[1], DEFAULT_ADDRESS);
  });

  it('keep what pain taught: the order, the restart, the memory killer, the mounts', async () => {
    const service = await read('dmthin.service');
    for (const line of [
      'Type=notify',
      'Before=containerd.service docker.service',
      'Restart=always',
      'OOMScoreAdjust=-999',
      'MountFlags=slave',
    ])
      assert.ok(service.split('\n').includes(line), line);
  });
});

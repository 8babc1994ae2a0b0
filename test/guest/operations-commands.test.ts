/** The pool commands of docs/operations.md, run as they stand there, and what they print compared where the document shows it. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLoopDevices } from './loop-devices.ts';
import { detachLoopsBelow, succeeds } from './pool-cli.ts';

const DOCUMENT = new URL('../../docs/operations.md', import.meta.url);

interface Command {
  readonly line: string;
  /** What the document shows below it; '' for nothing. */
  readonly shown: string;
}

/** `# dmthin pool ...` in the console blocks, comments cut off. */
function commandsOf(text: string): Command[] {
  const blocks = [...text.matchAll(/^```console\n(.*?)^```/gms)].map(([, block = '']) => block);
  return blocks
    .flatMap((block) => block.split(/^# /m))
    .filter((part) => part.startsWith('dmthin pool '))
    .map((part) => {
      const [line = '', ...shown] = part.trimEnd().split('\n');
      return { line: line.replace(/\s+#.*$/, ''), shown: shown.join('\n') };
    });
}

const withoutLoopNumbers = (text: string) => text.replaceAll(/\/dev\/loop\d+/g, '/dev/loopN');

test('the pool commands of docs/operations.md do what it says', async () => {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'commands-'));
  stack.defer(() => rm(directory, { recursive: true }));
  stack.defer(() => detachLoopsBelow(directory));
  const disks = stack.use(await createLoopDevices());
  const places: Readonly<Record<string, string>> = {
    '/var/lib/dmthin/pool': join(directory, 'pool'),
    '/dev/nvme1n1p1': await disks.attach(64 * 1024 ** 2),
    '/dev/nvme1n1p2': await disks.attach(512 * 1024 ** 2),
    '/dev/nvme1n1': await disks.attach(512 * 1024 ** 2),
  };
  const placed = (text: string) =>
    Object.entries(places).reduce((result, [from, to]) => result.replaceAll(from, to), text);
  const config = join(directory, 'config.toml');
  const table = `[pool]\nloop_dir = "${places['/var/lib/dmthin/pool'] ?? ''}"\ndata_size = "100G"\n`;
  await writeFile(config, `pool_name = "dmthin-pool"\nbase_image_size = "1G"\n${table}`);

  const commands = commandsOf(await readFile(DOCUMENT, 'utf8'));
  const left = new Set(commands.map(({ line }) => line));
  const run = async (beginning: string, ...more: string[]): Promise<void> => {
    const command = commands.find(({ line }) => line === `dmthin pool ${beginning}`);
    assert.ok(command !== undefined, `the document has "dmthin pool ${beginning}"`);
    const [, ...args] = placed(command.line).split(' ');
    const out = await succeeds(...args, ...more);
    left.delete(command.line);
    if (/^(create|extend) dmthin-pool --(loop-dir|data-size)/.test(beginning))
      assert.equal(withoutLoopNumbers(out), withoutLoopNumbers(placed(command.shown)));
  };

  await run('create dmthin-pool --loop-dir /var/lib/dmthin/pool --data-size 100G');
  await run('status dmthin-pool');
  await run('extend dmthin-pool --data-size 200G');
  await run('deactivate dmthin-pool');
  await run('activate dmthin-pool', '--config', config);
  await run('destroy dmthin-pool');
  await succeeds('pool', 'activate', 'dmthin-pool', '--config', config);
  await run('destroy dmthin-pool --delete-files');
  await run('create dmthin-pool --data-device /dev/nvme1n1p2 --metadata-device /dev/nvme1n1p1');
  await succeeds('pool', 'destroy', 'dmthin-pool');
  await run('create dmthin-pool --device /dev/nvme1n1');
  await succeeds('pool', 'destroy', 'dmthin-pool');
  // pool-lvm.test.ts has a volume group for it.
  assert.deepEqual([...left], ['dmthin pool create --lvm vg0/containers']);
});

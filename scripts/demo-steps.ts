/** What the demo does on the machine that has device-mapper. Leaves nothing behind, also when a step fails. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChecked, runProcess } from '../src/base/process.ts';
import { ensureImages } from '../test/images/ensure-images.ts';
import { type Containerd, containerdAt } from '../test/e2e/harness/containerd.ts';
import { DMTHIN } from '../test/e2e/harness/pool.ts';
import { startRegistry } from '../test/e2e/harness/registry.ts';
import { type SnapshotterUnderTest, snapshotterUnderTest } from '../test/e2e/harness/snapshotter.ts';
import type { Steps } from './steps.ts';
import { errorWords } from './words.ts';

const POOL = 'demo-pool';

/** @returns the exit code. */
export async function runDemo(steps: Steps): Promise<number> {
  const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'demo-'));
  const logs: (() => Promise<string>)[] = [];
  try {
    await using stack = new AsyncDisposableStack();
    stack.defer(() => rm(directory, { recursive: true, force: true }));
    await tell(steps, directory, stack, logs);
    return 0;
  } catch (error) {
    console.error(errorWords(error));
    for (const log of logs) console.error(await log().catch(() => ''));
    return 1;
  }
}

async function tell(
  steps: Steps,
  directory: string,
  stack: AsyncDisposableStack,
  logs: (() => Promise<string>)[],
): Promise<void> {
  const snapshotter: SnapshotterUnderTest = snapshotterUnderTest('dmthin', {
    directory,
    poolName: POOL,
    variant: {},
  });
  const containerd: Containerd = containerdAt(join(directory, 'containerd'), snapshotter.containerdConfig);
  const dmthin = (...args: string[]): Promise<string> => runChecked(runProcess, DMTHIN, args, LIMIT);
  const ctr = (...args: string[]): Promise<string> =>
    runChecked(runProcess, 'ctr', ['--address', containerd.address, ...args], LIMIT);
  logs.push(
    () => titled('dmthin', snapshotter.logTail()),
    () => titled('containerd', containerd.logTail()),
  );

  const poolDirectory = join(directory, 'pool');
  await steps.run('create a thin pool of 4 GiB on two sparse files', async () => {
    await mkdir(poolDirectory);
    return dmthin('pool', 'create', POOL, '--loop-dir', poolDirectory, '--data-size', '4G');
  });
  const rootPath = join(directory, 'snapshotter');
  stack.defer(async () => {
    await runProcess(DMTHIN, ['pool', 'destroy', POOL, '--root', rootPath], LIMIT);
  });
  await steps.run('start dmthin', () => snapshotter.start());
  stack.use(snapshotter);
  const images = await ensureImages();
  const registry = await startRegistry(images, directory);
  stack.use(registry);
  await steps.run('start containerd, with dmthin as proxy plugin', () => containerd.start());
  stack.use(containerd);

  const hello = registry.reference('hello');
  const debian = registry.reference('debian');
  const pull = (reference: string) => async (): Promise<void> => {
    await ctr('images', 'pull', '--plain-http', '--snapshotter', 'dmthin', reference);
  };
  const run = (reference: string, id: string, ...command: string[]): Promise<string> =>
    ctr('run', '--rm', '--snapshotter', 'dmthin', reference, id, ...command);
  await steps.run('ctr images pull --snapshotter dmthin hello-world', pull(hello));
  await steps.run('ctr run --snapshotter dmthin hello-world', () => run(hello, 'hello'));
  await steps.run(
    `ctr images pull --snapshotter dmthin debian (${images.facts.debian.layerCount} layers)`,
    pull(debian),
  );
  await steps.run('ctr run --snapshotter dmthin debian cat /etc/os-release', () =>
    run(debian, 'debian', 'head', '-n', '3', '/etc/os-release'),
  );
  const address = ['--address', snapshotter.address] as const;
  await steps.run('dmthin snapshots tree', () => dmthin('snapshots', 'tree', ...address));
  await steps.run('dmthin snapshots usage', () => dmthin('snapshots', 'usage', ...address));
  await steps.run('dmthin pool status', () => dmthin('pool', 'status', POOL));

  await steps.run('remove the images; containerd collects their snapshots', async () => {
    await ctr('images', 'rm', '--sync', hello, debian);
  });
  await steps.run('the pool is empty again, but for the formatted base device', async () => {
    const listed = await dmthin('snapshots', 'ls', ...address, '--json');
    assert.doesNotMatch(listed, /sha256:/, 'no snapshot is left');
    return dmthin('pool', 'status', POOL);
  });
  await steps.run('stop containerd and dmthin', async () => {
    await containerd.stop();
    await snapshotter.stop();
  });
  await steps.run('dmthin pool destroy', () =>
    dmthin('pool', 'destroy', POOL, '--root', rootPath, '--delete-files'),
  );
}

const LIMIT = { timeoutMs: 300_000 } as const;

async function titled(title: string, text: Promise<string>): Promise<string> {
  return `--- log of ${title}\n${await text}`;
}

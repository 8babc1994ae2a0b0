/** One state of the disk: the machine is started from it, as after a power cut, and everything is compared. */
import type { Log } from '../../src/base/log.ts';
import { runProcess } from '../../src/base/process.ts';
import type { SnapshotsClient } from '../../src/grpc/client.ts';
import type { DmClient } from '../../src/dm/client.ts';
import { differenceOf, readFiles } from '../workload/files.ts';
import { compareDevices, listAll } from '../workload/found.ts';
import type { Model } from '../workload/model.ts';
import { withMount } from '../workload/mount-calls.ts';
import { POOL_NAME, startMachine, withSlices } from './machine.ts';

/** @returns what is not as it must be, in words. */
export async function verify(dm: DmClient, disk: string, expected: Model): Promise<string[]> {
  return withSlices({ dm, disk }, async (slices) => {
    const checked = await runProcess('thin_check', ['-q', slices.metadata]);
    const problems = checked.exitCode === 0 ? [] : [`thin_check: ${checked.stderr}`];
    {
      await using machine = await startMachine(dm, slices);
      problems.push(...(await verifyDaemon(machine, dm, expected)));
    }
    problems.push(...(await checkFilesystems([slices.store])));
    return problems;
  });
}

async function verifyDaemon(
  machine: Awaited<ReturnType<typeof startMachine>>,
  dm: DmClient,
  expected: Model,
): Promise<string[]> {
  const problems: string[] = [];
  {
    await using serving = await machine.serve(errorsTo(problems));
    problems.push(...expected.settle(await listAll(serving.client)));
    if (problems.length > 0) return problems;
    problems.push(...(await compareContents(serving.client, expected)));
    await serving.client.cleanup();
  }
  problems.push(...(await compareDevices({ rootPath: machine.rootPath, poolName: POOL_NAME, dm })));
  return problems;
}

/** Mounting replays a filesystem's journal; after that it must be without fault. Views stay: the state is thrown away. */
async function compareContents(client: SnapshotsClient, expected: Model): Promise<string[]> {
  const problems: string[] = [];
  const devices: string[] = [];
  for (const [key, { kind, files, unsure }] of expected.snapshots) {
    const mounts = kind === 'committed' ? await client.view(`look/${key}`, key) : await client.mounts(key);
    try {
      const difference = differenceOf(files, await withMount(mounts, readFiles), unsure);
      if (difference !== undefined) problems.push(`${key} (${kind}): ${difference}`);
    } catch (error) {
      problems.push(`${key} (${kind}): ${String(error)}`);
    }
    devices.push(...mounts.map(({ source }) => source));
  }
  return [...problems, ...(await checkFilesystems(devices))];
}

/** One shell for all: starting a process from a large one is what takes time. */
async function checkFilesystems(devices: readonly string[]): Promise<string[]> {
  const script = 'for device; do e2fsck -fn "$device" 2>&1 || echo "FAULTY $device"; done';
  const { stdout } = await runProcess('sh', ['-c', script, 'sh', ...devices], { timeoutMs: 120_000 });
  return stdout.includes('FAULTY') ? [stdout] : [];
}

function errorsTo(problems: string[]): Log {
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (facts, message) => problems.push(`the daemon says: ${message} ${JSON.stringify(facts)}`),
  };
}

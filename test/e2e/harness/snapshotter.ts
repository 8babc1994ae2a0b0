/** The snapshotter under test: how it runs, and how containerd comes to know it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FsType } from '../../../src/filesystem/types.ts';
import { DMTHIN } from './pool.ts';
import { type Program, startProgram } from './program.ts';
import { accepts } from './sockets.ts';

export const IMPLEMENTATIONS = ['dmthin', 'builtin'] as const;
/** dmthin; or the devmapper snapshotter that is compiled into containerd, to see the tests' yardstick confirmed. */
export type Implementation = (typeof IMPLEMENTATIONS)[number];

export interface Variant {
  readonly fsType?: FsType;
  readonly asyncRemove?: boolean;
  readonly transport?: 'ioctl' | 'dmsetup';
  readonly baseImageSize?: string;
}

export interface SnapshotterUnderTest extends AsyncDisposable {
  /** Its name in containerd. */
  readonly name: string;
  /** Its own socket; '' when it has none. */
  readonly address: string;
  /** What containerd's configuration needs, TOML. */
  readonly containerdConfig: string;
  start(): Promise<void>;
  /** Resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** The end of its log; '' when it logs into containerd's. */
  logTail(): Promise<string>;
  readonly pids: readonly number[];
}

export function snapshotterUnderTest(
  implementation: Implementation,
  options: { readonly directory: string; readonly poolName: string; readonly variant: Variant },
): SnapshotterUnderTest {
  const { directory, poolName, variant } = options;
  const settings = `root_path = ${JSON.stringify(join(directory, 'snapshotter'))}
pool_name = ${JSON.stringify(poolName)}
base_image_size = ${JSON.stringify(variant.baseImageSize ?? '1GB')}
fs_type = ${JSON.stringify(variant.fsType ?? 'ext4')}
async_remove = ${variant.asyncRemove ?? false}
`;
  return implementation === 'builtin' ? builtin(settings) : dmthin(settings, directory, variant);
}

/** It lives in containerd's process: starting and stopping it alone is impossible. */
function builtin(settings: string): SnapshotterUnderTest {
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    name: 'devmapper',
    address: '',
    containerdConfig: `[plugins."io.containerd.snapshotter.v1.devmapper"]\n${settings}`,
    start: nothing,
    stop: nothing,
    logTail: () => Promise.resolve(''),
    pids: [],
    [Symbol.asyncDispose]: nothing,
  };
}

function dmthin(settings: string, directory: string, variant: Variant): SnapshotterUnderTest {
  const address = join(directory, 'dmthin.sock');
  const configPath = join(directory, 'dmthin.toml');
  let program: Program | undefined;
  const stop = async (signal?: NodeJS.Signals): Promise<void> => {
    await program?.stop(signal);
  };
  return {
    name: 'dmthin',
    address,
    containerdConfig: `[proxy_plugins.dmthin]
type = "snapshot"
address = ${JSON.stringify(address)}
`,
    async start() {
      await mkdir(directory, { recursive: true });
      const transport = variant.transport === undefined ? '' : `transport = "${variant.transport}"\n`;
      await writeFile(configPath, `address = ${JSON.stringify(address)}\n${transport}${settings}`);
      program = await startProgram({
        argv: [DMTHIN, 'serve', '--config', configPath],
        logPath: join(directory, 'dmthin.log'),
        isReady: () => accepts({ path: address }),
      });
    },
    stop,
    logTail: async () => (await program?.logTail()) ?? '',
    get pids() {
      return program === undefined ? [] : [program.pid];
    },
    [Symbol.asyncDispose]: () => stop(),
  };
}

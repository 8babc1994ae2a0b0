/** A containerd of the test's own: its root, state and socket, only the plugins that tests need. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Program, startProgram } from './program.ts';
import { accepts } from './sockets.ts';

export interface Containerd extends AsyncDisposable {
  readonly address: string;
  start(): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  logTail(): Promise<string>;
  readonly pids: readonly number[];
}

const CRI = 'io.containerd.grpc.v1.cri';
const DISABLED = [
  'io.containerd.internal.v1.opt',
  'io.containerd.internal.v1.tracing',
  'io.containerd.tracing.processor.v1.otlp',
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.native',
  'io.containerd.snapshotter.v1.overlayfs',
  'io.containerd.snapshotter.v1.zfs',
];
const DEVMAPPER = 'io.containerd.snapshotter.v1.devmapper';

/**
 * @param snapshotterConfig the part of the configuration that brings the snapshotter under test.
 * @param criConfig the tables of CRI; without them it is disabled.
 */
export function containerdAt(directory: string, snapshotterConfig: string, criConfig = ''): Containerd {
  const address = join(directory, 'containerd.sock');
  const configPath = join(directory, 'containerd.toml');
  const disabled = [
    ...DISABLED,
    ...(snapshotterConfig.includes(DEVMAPPER) ? [] : [DEVMAPPER]),
    ...(criConfig === '' ? [CRI] : []),
  ];
  let program: Program | undefined;
  const stop = async (signal?: NodeJS.Signals): Promise<void> => {
    await program?.stop(signal);
  };
  return {
    address,
    async start() {
      await mkdir(directory, { recursive: true });
      await writeFile(configPath, configOf(directory, address, disabled, snapshotterConfig + criConfig));
      program = await startProgram({
        argv: ['containerd', '--config', configPath],
        logPath: join(directory, 'containerd.log'),
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

/** Collections run when a test asks for one (a removal with --sync), never by a count of mutations. */
function configOf(
  directory: string,
  address: string,
  disabled: readonly string[],
  snapshotter: string,
): string {
  return `version = 2
root = ${JSON.stringify(join(directory, 'root'))}
state = ${JSON.stringify(join(directory, 'state'))}
disabled_plugins = ${JSON.stringify(disabled)}
[grpc]
address = ${JSON.stringify(address)}
[plugins."io.containerd.gc.v1.scheduler"]
pause_threshold = 0.02
deletion_threshold = 0
mutation_threshold = 0
schedule_delay = "0s"
startup_delay = "1h"
${snapshotter}`;
}

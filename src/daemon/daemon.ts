/**
 * The composition root: the only place that constructs everything. Opened in order, closed in reverse, also when the
 * start fails half-way.
 */
import { DmthinError, toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type RunProcess, runProcess } from '../base/process.ts';
import type { DmName } from '../base/units.ts';
import type { DmClient } from '../dm/client.ts';
import { type DmEvents, openDmEvents } from '../dm/events.ts';
import { loadKoffi } from '../dm/ioctl-port.ts';
import { openDmClient } from '../dm/open-client.ts';
import { releaseAllMounts } from '../filesystem/temporary-mount.ts';
import { createAdminService } from '../grpc/admin-service.ts';
import { createHealthService } from '../grpc/health.ts';
import { startServer } from '../grpc/server.ts';
import { createSnapshotsService } from '../grpc/service.ts';
import { createBlockDevices } from '../pool/block-devices.ts';
import { createPoolChanges } from '../pool/pool-changes.ts';
import { createSpaceKeeper } from '../pool/space-keeper.ts';
import { createFinishChange } from '../pool/swap-table.ts';
import { openStore, type Store, type StoreOptions } from '../store/store.ts';
import { createAssemblePool } from './assemble-pool.ts';
import { chooseSocket } from '../systemd/activation.ts';
import { takeServiceManager } from '../systemd/service-manager.ts';
import { startWatchdog } from '../systemd/watchdog.ts';
import type { Config } from './config.ts';
import { createCore, type CoreOptions } from './core.ts';
import { coreOptions, mountsDirectory } from './core-options.ts';
import { createSelfProbe, createTellState } from './service-state.ts';
import { createLowSpaceCommand } from './low-space-command.ts';
import { watchPool } from './watch-pool.ts';

export interface Daemon {
  /** The socket's path. */
  readonly address: string;
  /** Stops accepting, lets calls in flight end, closes everything. */
  stop(): Promise<void>;
}

export interface DaemonOptions {
  readonly log: Log;
  readonly version: string;
  /** Where a service manager says what it gave this process (sd_notify, passed sockets); taken out of it. Default: none. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** Instead of the transport that the config names. */
  readonly dm?: DmClient;
  /** Runs other programs; tests watch it. */
  readonly run?: RunProcess;
  /** Seams for tests that stop the world at every step. */
  readonly onStep?: CoreOptions['onStep'];
  readonly onTransaction?: StoreOptions['onTransaction'];
}

const DRAIN_MS = 10_000;
const POOL_CHECK_MS = 2_000;

/**
 * Starts everything and resolves when the socket answers: recovery has run then, unless the pool cannot be used; then
 * calls that need it are answered with the reason until it can.
 * @throws locked: another daemon has the state directory or the socket; config: the store is another pool's;
 *   unsupported: no device-mapper, no permission.
 */
export async function startDaemon(config: Config, options: DaemonOptions): Promise<Daemon> {
  await using stack = new AsyncDisposableStack();
  const { log, version, environment = {} } = options;
  const manager = takeServiceManager(environment, process.pid, log);
  const inherited = chooseSocket(config.address, manager.sockets);
  const store = await openStore({ rootPath: config.rootPath, onTransaction: options.onTransaction });
  stack.defer(() => store.close());
  await bindPool(store, config.poolName);
  const run = options.run ?? runProcess;
  const mounts = mountsDirectory(config.rootPath);
  for (const problem of await releaseAllMounts(run, mounts))
    log.warn({ problem }, 'a mount of a crash stays');
  const dm = options.dm ?? (await openDmClient(config.transport, { run, log, sequences: true }));
  stack.defer(() => dm.close());

  const devices = createBlockDevices(run);
  const poolChanges = createPoolChanges();
  const { onLowSpace } = config.pool;
  const core = createCore({
    ...coreOptions(config, { store, dm, run, log }),
    serving: true,
    assemblePool: createAssemblePool({
      ...{ store, dm, devices, poolChanges, log },
      name: config.poolName,
      settings: config.pool,
    }),
    onStep: options.onStep,
  });
  stack.defer(() => core.endGeneration());
  stack.defer(() => core.removals.stop());
  const finishChange = createFinishChange(config.poolName, { dm, poolChanges, log });
  await finishChange();
  await core.gate.check();
  const tellState = createTellState(manager, core.gate, config.poolName);
  const keeper = createSpaceKeeper({
    ...{ dm, devices, log },
    name: config.poolName,
    poolChanges,
    maxDataBytes: config.pool.maxDataBytes,
    runCommand: onLowSpace === undefined ? undefined : createLowSpaceCommand(onLowSpace, run, log),
  });
  stack.defer(
    watchPool({
      check: async () => {
        await finishChange();
        await core.gate.check();
        await tellState();
        await keeper.check();
      },
      events: await openEvents(dm, log),
      pauseMs: POOL_CHECK_MS,
      log,
    }),
  );
  const service = [
    ...createSnapshotsService(core.snapshotter),
    ...createAdminService(core.inspector),
    ...createHealthService(() => core.gate.state === 'open'),
  ];
  const server = await startServer({ address: config.address, inherited, service, log });
  stack.defer(() => server.drain(DRAIN_MS));
  if (manager.watchdogMs !== undefined) {
    const probe = createSelfProbe(server.address, config.rootPath);
    stack.defer(
      startWatchdog({ limitMs: manager.watchdogMs, probe, ping: () => manager.tell({ WATCHDOG: '1' }), log }),
    );
  }
  log.info(
    {
      version,
      address: server.address,
      root: config.rootPath,
      pool: config.poolName,
      transport: dm.transport,
    },
    'dmthin serves',
  );
  await tellState({ READY: '1' });
  stack.defer(() => manager.tell({ STOPPING: '1' }));
  const running = stack.move();
  return { address: server.address, stop: () => running.disposeAsync() };
}

/** A store's device ids mean nothing in another pool: the first attach binds the store to its pool by name. */
async function bindPool(store: Store, poolName: DmName): Promise<void> {
  const bound = store.meta().poolName;
  if (bound === poolName) return;
  if (bound !== null && (store.snapshotsAfter(0, 1).length > 0 || store.bases().length > 0)) {
    throw new DmthinError('config', {
      op: 'start',
      what: `the store at ${store.rootPath} belongs to pool ${JSON.stringify(bound)} and has snapshots there`,
      device: poolName,
      nextStep: `set pool_name = ${JSON.stringify(bound)}, or give this pool a root_path of its own`,
    });
  }
  await store.transaction('bind pool', (tx) => tx.setPoolName(poolName));
}

/** Only the ioctl transport has events; without them the pool is polled. */
async function openEvents(dm: DmClient, log: Log): Promise<DmEvents | undefined> {
  if (dm.transport !== 'ioctl') return undefined;
  try {
    return await openDmEvents(await loadKoffi());
  } catch (error) {
    log.warn(
      { error: toDmthinError(error, 'watch the pool') },
      'device-mapper tells no events; the pool is polled',
    );
    return undefined;
  }
}

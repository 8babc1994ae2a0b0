/** The commands' real dependencies. What is heavy loads when a command needs it. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { createLog } from '../base/log.ts';
import { runProcess } from '../base/process.ts';
import { createBlockDevices } from '../pool/block-devices.ts';
import { createFindDeviceUsers } from '../pool/device-users.ts';
import { createPoolChanges } from '../pool/pool-changes.ts';
import type { CliDeps } from './deps.ts';
import { processTerminal } from './terminal.ts';

const packageSchema = v.object({ version: v.string() });

export function processDeps(): CliDeps {
  const packageFile = new URL('../../package.json', import.meta.url);
  return {
    terminal: processTerminal(),
    version: v.parse(packageSchema, JSON.parse(readFileSync(packageFile, 'utf8'))).version,
    run: runProcess,
    signals: process,
    exit: (code) => process.exit(code),
    createLog,
    startDaemon: async (config, options) =>
      (await import('../daemon/daemon.ts')).startDaemon(config, { ...options, environment: process.env }),
    connect: async (address) => (await import('../grpc/client.ts')).connect(address),
    connectAdmin: async (address) => (await import('../grpc/admin-client.ts')).connectAdmin(address),
    openInspector: async (config, options) =>
      (await import('../daemon/open-inspector.ts')).openInspector(config, options),
    isRoot: () => process.geteuid?.() === 0,
    openDm: async (transport) =>
      (await import('../dm/open-client.ts')).openDmClient(transport, { run: runProcess }),
    blockDevices: createBlockDevices(runProcess),
    findDeviceUsers: createFindDeviceUsers(),
    poolChanges: createPoolChanges(),
    countSnapshots: async (rootPath, pool) =>
      (await import('../store/count.ts')).countSnapshotsOfPool(rootPath, pool),
  };
}

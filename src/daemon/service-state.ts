/** What the service manager is told of the daemon, and how the daemon finds out whether it is alive. */
import { stat } from 'node:fs/promises';
import type { DmName } from '../base/units.ts';
import { connect } from '../grpc/client.ts';
import type { Gate } from '../pool/gate.ts';
import type { ServiceState } from '../systemd/notify.ts';
import type { ServiceManager } from '../systemd/service-manager.ts';

/** Tells the manager how the pool is, in words for `systemctl status`, whenever they have changed. */
export function createTellState(
  manager: Pick<ServiceManager, 'tell'>,
  gate: Pick<Gate, 'state' | 'reason'>,
  poolName: DmName,
): (more?: ServiceState) => Promise<void> {
  let told: string | undefined;
  return async (more = {}) => {
    const status = gate.reason === undefined ? `serving pool ${poolName}` : `waiting: ${gate.reason.message}`;
    if (status === told && Object.keys(more).length === 0) return;
    told = status;
    await manager.tell({ ...more, STATUS: status });
  };
}

/**
 * Alive is: the event loop turns, a thread of libuv's pool is free, and our own socket answers a call. A pool in trouble is
 * not death: a restart would not mend it.
 */
export function createSelfProbe(address: string, rootPath: string): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    await stat(rootPath);
    const client = await connect(address, { signal });
    try {
      await client.isServing();
    } finally {
      client.close();
    }
  };
}

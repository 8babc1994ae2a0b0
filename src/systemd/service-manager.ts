/** What the service manager gave us at the start, and how to speak to it. Where there is none, speaking does nothing. */
import type { Log } from '../base/log.ts';
import { type InheritedSocket, inheritedSockets } from './activation.ts';
import { createNotifier, type ServiceState } from './notify.ts';

export interface ServiceManager {
  readonly sockets: readonly InheritedSocket[];
  /** undefined: no watchdog watches this process. */
  readonly watchdogMs: number | undefined;
  /** Never fails: a manager that cannot be told is logged. */
  tell(state: ServiceState): Promise<void>;
}

const VARIABLES = [
  'NOTIFY_SOCKET',
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
] as const;

/**
 * Reads and deletes the manager's variables, so that no child takes them for its own.
 * @throws config when what they say cannot be.
 */
export function takeServiceManager(environment: NodeJS.ProcessEnv, pid: number, log: Log): ServiceManager {
  const taken: Partial<Record<(typeof VARIABLES)[number], string>> = {};
  for (const name of VARIABLES) {
    const value = environment[name];
    if (value !== undefined) taken[name] = value;
    Reflect.deleteProperty(environment, name);
  }
  const notifier = taken.NOTIFY_SOCKET === undefined ? undefined : createNotifier(taken.NOTIFY_SOCKET);
  const isWatched = taken.WATCHDOG_PID === undefined || taken.WATCHDOG_PID === String(pid);
  const watchdogMs = Number(taken.WATCHDOG_USEC) / 1000;
  return {
    sockets: inheritedSockets({ fds: taken.LISTEN_FDS, pid: taken.LISTEN_PID }, pid),
    watchdogMs: notifier !== undefined && isWatched && watchdogMs > 0 ? watchdogMs : undefined,
    async tell(state) {
      try {
        await notifier?.notify(state);
      } catch (error) {
        log.warn({ err: error }, 'the service manager could not be told');
      }
    },
  };
}

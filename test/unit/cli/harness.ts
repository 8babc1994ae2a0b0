/** Runs command lines in this process, against a machine in memory, and keeps what they print. */
import { DmthinError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import type { CliDeps } from '../../../src/cli/deps.ts';
import { runCli } from '../../../src/cli/program.ts';
import { createMachine, type Machine } from '../../fakes/machine.ts';
import { createFakePoolChanges } from '../../fakes/pool-changes.ts';

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CliHarness {
  readonly machine: Machine;
  readonly deps: CliDeps;
  readonly dmthin: (...args: string[]) => Promise<CliRun>;
}

export function createCli(overrides: Partial<CliDeps> = {}, machine = createMachine()): CliHarness {
  const lines = { out: [] as string[], err: [] as string[] };
  const absent = () =>
    Promise.reject(new DmthinError('unavailable', { op: 'test', what: 'not in this test' }));
  const deps: CliDeps = {
    terminal: {
      out: (text) => lines.out.push(text),
      err: (text) => lines.err.push(text),
      colour: false,
    },
    version: '1.2.3',
    run: absent,
    signals: process,
    exit: () => undefined,
    createLog: () => silentLog,
    startDaemon: absent,
    connect: absent,
    connectAdmin: absent,
    openInspector: absent,
    isRoot: () => true,
    openDm: () => Promise.resolve(machine.dm),
    blockDevices: machine.devices,
    findDeviceUsers: () => Promise.resolve([]),
    poolChanges: createFakePoolChanges(),
    countSnapshots: () => Promise.resolve(undefined),
    ...overrides,
  };
  return {
    machine,
    deps,
    async dmthin(...args) {
      lines.out.length = 0;
      lines.err.length = 0;
      const code = await runCli(args, deps);
      return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
    },
  };
}

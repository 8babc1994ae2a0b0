/** `dmthin check` and `dmthin repair`: by the daemon that has the store, or by the command itself when none has it. */
import { type Command, InvalidArgumentError } from 'commander';
import { hasCode } from '../base/errors.ts';
import { deviceId, type DeviceId } from '../base/units.ts';
import type { Inspector } from '../check/inspector.ts';
import { DEFAULT_CONFIG_PATH, DEFAULT_ROOT_PATH } from '../daemon/config.ts';
import { loadConfig } from '../daemon/read-config.ts';
import type { CliDeps } from './deps.ts';
import { ConfigProblemsError, EXIT_CODES, ReportedFailure } from './failure.ts';
import { checkToJson, formatCheck, formatRepair, repairToJson } from './inspect-format.ts';
import { requireRoot } from './pool-access.ts';
import { painter, printJson } from './terminal.ts';

interface Options {
  readonly config?: string;
  readonly address?: string;
  readonly root?: string;
  readonly json?: boolean;
}

interface RepairOptions extends Options {
  readonly apply?: boolean;
  readonly deleteDevice: readonly DeviceId[];
  readonly keepDevice: readonly DeviceId[];
}

export function addInspectCommands(program: Command, deps: CliDeps): void {
  const add = (name: string, summary: string) =>
    program
      .command(name)
      .summary(summary)
      .option('--config <file>', `dmthin's configuration (default: ${DEFAULT_CONFIG_PATH})`)
      .option('--address <path>', 'ask the daemon at this socket, and nobody else')
      .option('--root <dir>', `directory of the snapshot store (default: ${DEFAULT_ROOT_PATH})`)
      .option('--json', 'print JSON');
  add('check', 'compare the store with the pool and the kernel')
    .description(
      'Compares the snapshots with the devices of the pool and of the kernel, both ways, and changes nothing. Safe at any time: the daemon that has the store does the looking. Ends with 0 when all agree, with 1 when there are findings. docs/operations.md lists them.',
    )
    .action((options: Options) => runCheck(options, deps));
  add('repair', 'do what the findings of a check ask for')
    .description(
      'Tells what it would do about each finding of a check; with --apply it does it. Deletes only devices that are named. Ends with 1 when something is left to do.',
    )
    .option('--apply', 'do it')
    .option(
      '--delete-device <id>',
      'delete this device, which no record names (again for more)',
      collectIds,
      [],
    )
    .option('--keep-device <id>', 'note this device as not ours (again for more)', collectIds, [])
    .action((options: RepairOptions) => runRepair(options, deps));
}

function collectIds(text: string, before: readonly DeviceId[]): DeviceId[] {
  if (!/^\d{1,8}$/.test(text)) throw new InvalidArgumentError('It is not the id of a thin device.');
  try {
    return [...before, deviceId(Number(text))];
  } catch {
    throw new InvalidArgumentError('It is not the id of a thin device.');
  }
}

/** INVARIANT: whoever looks holds the store's lock, so that nobody changes what is looked at behind its back. */
async function withInspector<T>(
  { config: path, address, root }: Options,
  deps: CliDeps,
  body: (inspector: Inspector) => Promise<T>,
): Promise<T> {
  const ask = async (socket: string): Promise<T> => {
    const client = await deps.connectAdmin(socket);
    try {
      return await body(client);
    } finally {
      client.close();
    }
  };
  if (address !== undefined) return ask(address);
  const result = await loadConfig(path, root === undefined ? {} : { root });
  if (!result.ok) throw new ConfigProblemsError(result.problems);
  requireRoot(deps);
  let own;
  try {
    own = await deps.openInspector(result.config, { log: deps.createLog('error') });
  } catch (error) {
    if (hasCode(error, 'locked')) return ask(result.config.address);
    throw error;
  }
  try {
    return await body(own);
  } finally {
    await own.close();
  }
}

async function runCheck(options: Options, deps: CliDeps): Promise<void> {
  const report = await withInspector(options, deps, (inspector) => inspector.check());
  if (options.json === true) printJson(deps.terminal, checkToJson(report));
  else deps.terminal.out(formatCheck(report, painter(deps.terminal)));
  if (report.findings.length > 0) throw new ReportedFailure(EXIT_CODES.failure);
}

async function runRepair(options: RepairOptions, deps: CliDeps): Promise<void> {
  const request = {
    apply: options.apply === true,
    deleteDevices: options.deleteDevice,
    keepDevices: options.keepDevice,
  };
  const report = await withInspector(options, deps, (inspector) => inspector.repair(request));
  if (options.json === true) printJson(deps.terminal, repairToJson(report));
  else deps.terminal.out(formatRepair(report, painter(deps.terminal)));
  if (report.outcomes.some(({ result }) => result !== 'repaired'))
    throw new ReportedFailure(EXIT_CODES.failure);
}

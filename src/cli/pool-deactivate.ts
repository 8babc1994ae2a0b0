/** `dmthin pool deactivate`. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { DmName } from '../base/units.ts';
import { DEFAULT_ROOT_PATH } from '../daemon/config.ts';
import { deactivatePool, describeDeactivateStep } from '../pool/provision-deactivate.ts';
import type { CliDeps, Transport } from './deps.ts';
import { readPoolName, transportOption, withDeviceMapper } from './pool-access.ts';
import { printSteps } from './pool-steps.ts';

interface DeactivateOptions {
  readonly root: string;
  readonly dryRun?: boolean;
  readonly transport: Transport;
  readonly json?: boolean;
}

const DESCRIPTION = `Takes a pool out of the kernel, the idle devices of its snapshots and its loop devices with it, and keeps
all that it holds: for a repair of its metadata, or to move it. Refuses while anything uses it, and says what.`;

export function addPoolDeactivateCommand(group: Command, deps: CliDeps): void {
  group
    .command('deactivate')
    .summary('take a pool out of the kernel and keep it')
    .description(DESCRIPTION)
    .argument('<name>', 'its name in /dev/mapper', readPoolName)
    .option('--root <dir>', 'the directory of the snapshot store', DEFAULT_ROOT_PATH)
    .option('--dry-run', 'print the steps, change nothing')
    .addOption(transportOption())
    .option('--json', 'print what was done as JSON')
    .action((name: DmName, options: DeactivateOptions) => deactivate(name, options, deps));
}

async function deactivate(name: DmName, options: DeactivateOptions, deps: CliDeps): Promise<void> {
  const dryRun = options.dryRun === true;
  const steps = await withDeviceMapper(options.transport, deps, (access) =>
    deactivatePool(
      name,
      {
        ...access,
        findUsers: deps.findDeviceUsers,
        requireNoDaemon: () => deps.countSnapshots(resolve(options.root), name),
      },
      { dryRun },
    ),
  );
  const gone = steps.some((step) => step.do === 'remove_pool');
  const title = gone
    ? `pool ${name} is not active any more`
    : `pool ${name} has no devices of dmthin any more; to deactivate it: lvchange --activate n VG/POOL`;
  printSteps(deps.terminal, {
    ...{ name, title, dryRun, json: options.json === true },
    steps: steps.map(describeDeactivateStep),
  });
}

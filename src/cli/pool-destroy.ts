/** `dmthin pool destroy`. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { DmName } from '../base/units.ts';
import { DEFAULT_ROOT_PATH } from '../daemon/config.ts';
import { describeDestroyStep, destroyPool } from '../pool/provision-destroy.ts';
import type { CliDeps, Transport } from './deps.ts';
import { readPoolName, transportOption, withDeviceMapper } from './pool-access.ts';
import { printJson } from './terminal.ts';

interface DestroyOptions {
  readonly root: string;
  readonly loopDir?: string;
  readonly deleteFiles?: boolean;
  readonly dryRun?: boolean;
  readonly transport: Transport;
  readonly json?: boolean;
}

const DESCRIPTION = `Removes a pool from the kernel and detaches its loop devices. Its loop files stay unless --delete-files is
given, and disks stay as they are: creating the pool again assembles it. Refuses while devices are active on the pool,
and while the snapshot store has snapshots on it.`;

export function addPoolDestroyCommand(group: Command, deps: CliDeps): void {
  group
    .command('destroy')
    .summary('take a pool away')
    .description(DESCRIPTION)
    .argument('<name>', 'its name in /dev/mapper', readPoolName)
    .option('--delete-files', 'delete its loop files, and with them all that it holds')
    .option('--loop-dir <dir>', 'where the loop files are of a pool that is not active')
    .option('--root <dir>', 'the directory of the snapshot store', DEFAULT_ROOT_PATH)
    .option('--dry-run', 'print the steps, change nothing')
    .addOption(transportOption())
    .option('--json', 'print what was done as JSON')
    .action((name: DmName, options: DestroyOptions) => destroy(name, options, deps));
}

async function destroy(name: DmName, options: DestroyOptions, deps: CliDeps): Promise<void> {
  const dryRun = options.dryRun === true;
  const request = {
    name,
    loopDirectory: options.loopDir === undefined ? undefined : resolve(options.loopDir),
    deleteFiles: options.deleteFiles === true,
  };
  const { steps, kept } = await withDeviceMapper(options.transport, deps, (access) =>
    destroyPool(
      request,
      { ...access, countSnapshots: (pool) => deps.countSnapshots(resolve(options.root), pool) },
      { dryRun },
    ),
  );
  const described = steps.map(describeDestroyStep);
  if (options.json === true) {
    printJson(deps.terminal, { pool: name, dry_run: dryRun, steps: described, kept });
    return;
  }
  const title = dryRun ? `to be done for pool ${name} (nothing has been changed):` : `pool ${name} is gone`;
  const keeps = kept.map((path) => `  kept: ${path}`);
  deps.terminal.out([title, ...described.map((step) => `  ${step}`), ...keeps].join('\n'));
}

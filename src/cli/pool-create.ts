/** `dmthin pool create`. */
import type { Command } from 'commander';
import type { Bytes, DmName } from '../base/units.ts';
import { DEFAULT_CONFIG_PATH } from '../daemon/config.ts';
import { describeStep } from '../pool/provision-apply.ts';
import { checkBlockSize } from '../pool/provision-geometry.ts';
import { formatLvmVolume, type LvmVolume } from '../pool/lvm-names.ts';
import { adoptLvmPool, describeAdoption } from '../pool/provision-lvm.ts';
import { createPool, type ProvisionResult } from '../pool/provision.ts';
import type { CliDeps, Transport } from './deps.ts';
import { type BackingOptions, readBackingOptions, refuseBackingOptions, usageError } from './pool-backing.ts';
import { readLvmVolume, readPoolName, readSize, transportOption, withDeviceMapper } from './pool-access.ts';
import { printSteps } from './pool-steps.ts';
import { painter, printJson } from './terminal.ts';

interface CreateOptions extends BackingOptions {
  readonly lvm?: LvmVolume;
  readonly blockSize?: Bytes;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly transport: Transport;
  readonly json?: boolean;
}

const DESCRIPTION = `Makes a thin pool, or assembles one that is there already on its files or disks, for example
after a reboot. The same command twice ends in the same pool. Existing pool metadata is never formatted over.
With --lvm nothing is made: LVM's own pool is activated, and its name printed.`;

export function addPoolCreateCommand(group: Command, deps: CliDeps): void {
  group
    .command('create')
    .summary('make a thin pool, or assemble it again')
    .description(DESCRIPTION)
    .argument('[name]', 'the name that it gets in /dev/mapper; with --lvm it has one', readPoolName)
    .option('--loop-dir <dir>', 'keep the pool in two sparse files in this directory')
    .option('--data-size <size>', 'size of the data file, for example 20G', readSize)
    .option(
      '--metadata-size <size>',
      'size of the metadata, with --loop-dir or --device (default: from the data size)',
      readSize,
    )
    .option('--data-device <device>', 'keep the data on this disk, partition or logical volume')
    .option('--metadata-device <device>', 'keep the metadata on this one')
    .option('--device <device>', 'keep both on this disk, which is split')
    .option('--lvm <vg/pool>', "use this thin pool of LVM's as it is", readLvmVolume)
    .option('--block-size <size>', 'unit of allocation, a multiple of 64K (default: 64K)', readSize)
    .option('--force', 'take files or disks that hold something else, and wipe it')
    .option('--dry-run', 'print the steps, change nothing')
    .addOption(transportOption())
    .option('--json', 'print the outcome as JSON')
    .action((name: DmName | undefined, options: CreateOptions) => create(name, options, deps));
}

async function create(name: DmName | undefined, options: CreateOptions, deps: CliDeps): Promise<void> {
  if (options.lvm !== undefined) {
    await adopt(options.lvm, name, options, deps);
    return;
  }
  if (name === undefined) throw usageError('pool create', 'give the name of the pool');
  const request = {
    name,
    backing: readBackingOptions('pool create', options),
    blockSectors: options.blockSize === undefined ? undefined : checkBlockSize(options.blockSize),
    force: options.force === true,
  };
  const dryRun = options.dryRun === true;
  const result = await withDeviceMapper(options.transport, deps, (access) =>
    createPool(request, { ...access, poolChanges: deps.poolChanges }, { dryRun }),
  );
  if (options.json === true) {
    printJson(deps.terminal, {
      pool: name,
      outcome: result.outcome,
      dry_run: dryRun,
      steps: result.steps.map((step) => describeStep(step, name)),
      table: result.table ?? null,
      warnings: result.warnings,
    });
    return;
  }
  print(name, result, dryRun, deps);
}

async function adopt(
  lvm: LvmVolume,
  wanted: DmName | undefined,
  options: CreateOptions,
  deps: CliDeps,
): Promise<void> {
  refuseBackingOptions('pool create', options);
  const dryRun = options.dryRun === true;
  const adopted = await withDeviceMapper(options.transport, deps, (access) =>
    adoptLvmPool(lvm, wanted, access, { dryRun }),
  );
  const { name } = adopted;
  const steps = describeAdoption(lvm, adopted);
  const volume = formatLvmVolume(lvm);
  printSteps(deps.terminal, {
    ...{ name, steps, dryRun: dryRun && steps.length > 0, json: options.json === true },
    title: `pool ${name} is LVM's ${volume}, and is used as it is`,
  });
  if (dryRun || options.json === true) return;
  deps.terminal.out(
    `next: in ${DEFAULT_CONFIG_PATH} set pool_name = "${name}", and in its table [pool] lvm = "${volume}", then run: dmthin serve`,
  );
}

function print(
  name: DmName,
  { outcome, steps, table, warnings }: ProvisionResult,
  dryRun: boolean,
  deps: CliDeps,
): void {
  const { terminal } = deps;
  const paint = painter(terminal);
  const lines = steps.map((step) => `  ${describeStep(step, name)}`);
  for (const warning of warnings) terminal.err(`dmthin: warning: ${warning}`);
  if (outcome === 'present') {
    terminal.out(`pool ${name} is already there: nothing to do`);
    return;
  }
  if (dryRun) {
    terminal.out(
      [`to be done for pool ${name} (nothing has been changed):`, ...lines, `  table: ${table ?? ''}`].join(
        '\n',
      ),
    );
    return;
  }
  terminal.out([paint('green', `pool ${name} is ${outcome}`), ...lines].join('\n'));
  if (outcome === 'made')
    terminal.out(`next: set pool_name = "${name}" in ${DEFAULT_CONFIG_PATH}, then run: dmthin serve`);
}

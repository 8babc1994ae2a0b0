/** `dmthin pool extend`. */
import type { Command } from 'commander';
import type { Bytes, DmName } from '../base/units.ts';
import { extendPool } from '../pool/provision-extend.ts';
import { describeExtendStep } from '../pool/provision-extend-plan.ts';
import { checkMetadataSize } from '../pool/provision-geometry.ts';
import type { CliDeps, Transport } from './deps.ts';
import { readPoolName, readSize, transportOption, withDeviceMapper } from './pool-access.ts';
import { printSteps } from './pool-steps.ts';

interface ExtendOptions {
  readonly dataSize?: Bytes;
  readonly metadataSize?: Bytes;
  readonly dryRun?: boolean;
  readonly transport: Transport;
  readonly json?: boolean;
}

const DESCRIPTION = `Grows a pool while its snapshots are in use. A pool on loop files gets files of the sizes given; any pool
takes the sizes that its devices have now. A pool that needs a check has to have it first; one of LVM's is left to LVM.`;

export function addPoolExtendCommand(group: Command, deps: CliDeps): void {
  group
    .command('extend')
    .summary('grow a pool')
    .description(DESCRIPTION)
    .argument('<name>', 'its name in /dev/mapper', readPoolName)
    .option('--data-size <size>', 'new size of its data file, for example 200G', readSize)
    .option('--metadata-size <size>', 'new size of its metadata file', readSize)
    .option('--dry-run', 'print the steps, change nothing')
    .addOption(transportOption())
    .option('--json', 'print what was done as JSON')
    .action((name: DmName, options: ExtendOptions) => extend(name, options, deps));
}

async function extend(name: DmName, options: ExtendOptions, deps: CliDeps): Promise<void> {
  const { dataSize, metadataSize } = options;
  const metadata = metadataSize === undefined ? undefined : checkMetadataSize(metadataSize);
  const dryRun = options.dryRun === true;
  const steps = await withDeviceMapper(options.transport, deps, (access) =>
    extendPool(
      { name, bytes: { data: dataSize, metadata } },
      { ...access, poolChanges: deps.poolChanges },
      { dryRun },
    ),
  );
  const title =
    steps.length === 0
      ? `pool ${name} has all that its devices have: nothing to do`
      : `pool ${name} has grown`;
  printSteps(deps.terminal, {
    ...{ name, title, dryRun: dryRun && steps.length > 0, json: options.json === true },
    steps: steps.map((step) => describeExtendStep(step, name)),
  });
}

/** `dmthin pool activate`. */
import type { Command } from 'commander';
import { DmthinError } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import { DEFAULT_CONFIG_PATH } from '../daemon/config.ts';
import { loadConfig } from '../daemon/read-config.ts';
import { type DescribedPool, ensurePool } from '../pool/provision-ensure.ts';
import type { CliDeps, Transport } from './deps.ts';
import { ConfigProblemsError } from './failure.ts';
import type { LvmVolume } from '../pool/lvm-names.ts';
import { type BackingOptions, readBackingOptions, refuseBackingOptions } from './pool-backing.ts';
import { readLvmVolume, readPoolName, transportOption, withDeviceMapper } from './pool-access.ts';
import { printSteps } from './pool-steps.ts';

interface ActivateOptions extends Pick<
  BackingOptions,
  'loopDir' | 'device' | 'dataDevice' | 'metadataDevice'
> {
  readonly config?: string;
  readonly lvm?: LvmVolume;
  readonly dryRun?: boolean;
  readonly transport: Transport;
  readonly json?: boolean;
}

const DESCRIPTION = `Brings a pool that exists into the kernel again, from what the flags name or else the table [pool] of the
configuration. Nothing is ever formatted. A pool that is active already is compared and left alone.`;

export function addPoolActivateCommand(group: Command, deps: CliDeps): void {
  group
    .command('activate')
    .summary('bring a pool into the kernel again')
    .description(DESCRIPTION)
    .argument('<name>', 'its name in /dev/mapper', readPoolName)
    .option('--config <file>', `the configuration to read (default: ${DEFAULT_CONFIG_PATH})`)
    .option('--loop-dir <dir>', 'where its two files are')
    .option('--data-device <device>', 'the device that holds its data')
    .option('--metadata-device <device>', 'the device that holds its metadata')
    .option('--device <device>', 'the disk that holds both')
    .option('--lvm <vg/pool>', "the thin pool of LVM's that it is", readLvmVolume)
    .option('--dry-run', 'print the steps, change nothing')
    .addOption(transportOption())
    .option('--json', 'print the outcome as JSON')
    .action((name: DmName, options: ActivateOptions) => activate(name, options, deps));
}

async function activate(name: DmName, options: ActivateOptions, deps: CliDeps): Promise<void> {
  const described = await describePool(name, options);
  const dryRun = options.dryRun === true;
  const { outcome, steps } = await withDeviceMapper(options.transport, deps, (access) =>
    ensurePool(described, { ...access, poolChanges: deps.poolChanges }, { dryRun }),
  );
  const title = outcome === 'present' ? `pool ${name} is active already` : `pool ${name} is active`;
  printSteps(deps.terminal, {
    ...{ name, title, dryRun, json: options.json === true },
    steps,
  });
}

/** @throws ConfigProblemsError; failed_precondition when the configuration does not describe this pool. */
async function describePool(name: DmName, options: ActivateOptions): Promise<DescribedPool> {
  const mustExist = '"pool activate" makes no new one';
  if (options.lvm !== undefined) {
    refuseBackingOptions('pool activate', options);
    return { name, backing: { kind: 'lvm', lvm: options.lvm }, blockSectors: undefined, mustExist };
  }
  if (
    [options.loopDir, options.device, options.dataDevice, options.metadataDevice].some(
      (flag) => flag !== undefined,
    )
  ) {
    const backing = readBackingOptions('pool activate', options);
    return { name, backing, blockSectors: undefined, mustExist };
  }
  const result = await loadConfig(options.config);
  if (!result.ok) throw new ConfigProblemsError(result.problems);
  const { poolName, pool } = result.config;
  if (poolName === name && pool.backing !== undefined) {
    return { name, backing: pool.backing, blockSectors: pool.blockSectors, mustExist };
  }
  throw new DmthinError('failed_precondition', {
    op: `pool activate ${name}`,
    what:
      poolName === name
        ? 'the configuration has no table [pool] that says what the pool stands on'
        : `the configuration is for pool ${poolName}`,
    nextStep: 'give --loop-dir, or --device, or --data-device and --metadata-device, or --lvm',
  });
}

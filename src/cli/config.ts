/** `dmthin config`: print and check configurations. */
import type { Command } from 'commander';
import type { Config, PoolSettings } from '../daemon/config.ts';
import { CONFIG_KEYS, defaultConfigText, type KeyExplanation } from '../daemon/read-config-keys.ts';
import { loadConfig } from '../daemon/read-config.ts';
import { formatSize, sectorsToBytes } from '../base/units.ts';
import { addConfigContainerdCommand } from './config-containerd.ts';
import { formatLvmVolume } from '../pool/lvm-names.ts';
import type { Floor } from '../pool/health.ts';
import type { CliDeps } from './deps.ts';
import { ConfigProblemsError } from './failure.ts';
import { formatFacts, printJson } from './terminal.ts';

interface JsonOption {
  readonly json?: boolean;
}

export function addConfigCommands(program: Command, deps: CliDeps): void {
  const group = program.command('config').description('Print and check configurations.');
  group
    .command('default')
    .summary('print a configuration with every key, explained')
    .description('Prints a configuration file with every key, its explanation and its default.')
    .option('--json', 'print the keys as JSON')
    .action((options: JsonOption) => {
      if (options.json === true) printJson(deps.terminal, { keys: keysAsJson() });
      else deps.terminal.out(defaultConfigText().trimEnd());
    });
  group
    .command('check')
    .summary('check a configuration file')
    .description(
      'Reads a configuration file as "serve" does and reports every problem in it at once, or the settings that result.',
    )
    .argument('<file>', "dmthin's own configuration, or containerd's with its devmapper table")
    .option('--json', 'print the settings, or the problems, as JSON')
    .action((file: string, options: JsonOption) => checkConfig(file, options, deps));
  addConfigContainerdCommand(group, deps);
}

function keysAsJson() {
  return Object.entries<KeyExplanation>(CONFIG_KEYS).map(([name, { about, value, required, original }]) => ({
    name,
    about: about.join(' '),
    ...(required ? { example: value } : { default: value }),
    required,
    original,
  }));
}

async function checkConfig(file: string, options: JsonOption, deps: CliDeps): Promise<void> {
  const result = await loadConfig(file);
  if (!result.ok) throw new ConfigProblemsError(result.problems);
  const settings = toSettings(result.config);
  if (options.json === true) {
    printJson(deps.terminal, { file, ok: true, settings });
    return;
  }
  const shown = { ...settings, base_image_size: formatSize(settings.base_image_size) };
  deps.terminal.out(
    `${file}: ok\n${formatFacts(Object.entries(shown).map(([key, value]) => [key, JSON.stringify(value)]))}`,
  );
}

/** A configuration under the names of its keys; base_image_size in bytes. */
function toSettings(config: Config) {
  return {
    pool_name: config.poolName,
    base_image_size: config.baseImageSizeBytes,
    root_path: config.rootPath,
    fs_type: config.fsType,
    fs_options: config.fsOptions,
    async_remove: config.asyncRemove,
    discard_blocks: config.discardBlocks,
    address: config.address,
    transport: config.transport,
    busy_timeout: `${config.busyTimeoutMs}ms`,
    log_level: config.logLevel,
    pool: poolSettings(config.pool),
  };
}

function poolSettings({ backing, blockSectors, floors, maxDataBytes, onLowSpace }: PoolSettings) {
  return {
    ...(backing?.kind === 'loop'
      ? { loop_dir: backing.directory, data_size: backing.dataBytes, metadata_size: backing.metadataBytes }
      : {}),
    ...(backing?.kind === 'disk' ? { device: backing.device, metadata_size: backing.metadataBytes } : {}),
    ...(backing?.kind === 'lvm' ? { lvm: formatLvmVolume(backing.lvm) } : {}),
    ...(backing?.kind === 'devices' ? { data_device: backing.data, metadata_device: backing.metadata } : {}),
    ...(blockSectors === undefined ? {} : { block_size: sectorsToBytes(blockSectors) }),
    ...(maxDataBytes === undefined ? {} : { max_data_size: maxDataBytes }),
    min_free_data: formatFloor(floors.data),
    min_free_metadata: formatFloor(floors.metadata),
    ...(onLowSpace === undefined ? {} : { on_low_space: onLowSpace }),
  };
}

/** A share as in the file, a size in bytes. */
function formatFloor(floor: Floor): string | number {
  return 'bytes' in floor ? floor.bytes : `${floor.percent}%`;
}

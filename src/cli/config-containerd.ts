/** `dmthin config containerd`: what to paste into containerd's configuration. */
import { type Command, InvalidArgumentError } from 'commander';
import { DEFAULT_ADDRESS, DEFAULT_ROOT_PATH } from '../daemon/config.ts';
import { readInstalledVersion } from '../containerd/installed.ts';
import { containerdSnippet } from '../containerd/snippet.ts';
import {
  BUILT_IN_SNAPSHOTTERS,
  type ContainerdVersion,
  formatContainerdVersion,
  parseContainerdVersion,
} from '../containerd/version.ts';
import type { CliDeps } from './deps.ts';
import { printJson } from './terminal.ts';

interface ContainerdOptions {
  readonly containerdVersion?: ContainerdVersion;
  readonly address: string;
  readonly root: string;
  readonly name: string;
  readonly json?: boolean;
}

export function addConfigContainerdCommand(group: Command, deps: CliDeps): void {
  group
    .command('containerd')
    .summary('print what registers dmthin with containerd')
    .description(
      'Prints the piece of /etc/containerd/config.toml that registers dmthin, for one containerd version.',
    )
    .option(
      '--containerd-version <version>',
      'for example 1.7 (default: what "containerd --version" says)',
      readVersion,
    )
    .option('--address <path>', 'the socket of dmthin', DEFAULT_ADDRESS)
    .option('--root <dir>', 'the directory of the snapshot store', DEFAULT_ROOT_PATH)
    .option('--name <name>', 'the name that containerd gives the snapshotter', readName, 'dmthin')
    .option('--json', 'print the snippet and the versions as JSON')
    .action((options: ContainerdOptions) => printSnippet(options, deps));
}

function readVersion(text: string): ContainerdVersion {
  const version = parseContainerdVersion(text);
  if (version === undefined) throw new InvalidArgumentError('It is not a version such as 1.7 or 2.1.3.');
  if (version.major < 1 || (version.major === 1 && version.minor < 6)) {
    throw new InvalidArgumentError('dmthin works with containerd 1.6 and later.');
  }
  return version;
}

function readName(name: string): string {
  if (BUILT_IN_SNAPSHOTTERS.includes(name)) {
    throw new InvalidArgumentError(
      `containerd has a built-in snapshotter of that name, and even with it disabled ends its start with "id already registered" when a proxy plugin has the same one.`,
    );
  }
  if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(name)) {
    throw new InvalidArgumentError('A name has letters, digits, - and _, and starts with a letter.');
  }
  return name;
}

async function printSnippet(options: ContainerdOptions, deps: CliDeps): Promise<void> {
  const version = options.containerdVersion ?? (await readInstalledVersion(deps.run));
  const { configVersion, toml } = containerdSnippet({ ...options, version });
  if (options.json === true) {
    printJson(deps.terminal, {
      containerd_version: version === undefined ? null : formatContainerdVersion(version),
      config_version: configVersion,
      toml,
    });
    return;
  }
  const made =
    version === undefined
      ? '# No containerd was found here: this is for 1.6 and 1.7. For 2.x: --containerd-version 2.1\n'
      : `# For containerd ${formatContainerdVersion(version)}.`;
  deps.terminal.out(
    `${made.trimEnd()} Merge into /etc/containerd/config.toml, then: systemctl restart containerd\n${toml.trimEnd()}`,
  );
}

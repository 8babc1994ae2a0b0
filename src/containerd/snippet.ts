/**
 * The piece of containerd's configuration that registers dmthin, per containerd version.
 * Source: containerd's docs/PLUGINS.md, docs/snapshotters and docs/cri/config.md of 1.6, 1.7, 2.0 and 2.1.
 */

import { atLeast, type ContainerdVersion } from './version.ts';

export interface SnippetOptions {
  /** undefined: no containerd is known. */
  readonly version: ContainerdVersion | undefined;
  /** The name under which containerd knows the snapshotter. */
  readonly name: string;
  readonly address: string;
  readonly root: string;
}

export interface Snippet {
  /** containerd's `version` key: the format of its configuration file. */
  readonly configVersion: 2 | 3;
  readonly toml: string;
}

/** A configuration of format 2 is read by 1.6 and 1.7, and 2.x migrates it: so it is what an unknown version gets. */
export function containerdSnippet(options: SnippetOptions): Snippet {
  const { version } = options;
  if (version !== undefined && version.major >= 2) return { configVersion: 3, toml: versionThree(options) };
  return { configVersion: 2, toml: versionTwo(options) };
}

function versionTwo(options: SnippetOptions): string {
  const { name, version } = options;
  const perRuntime =
    version?.major === 1 && version.minor >= 7
      ? "  # One runtime only: set snapshotter in that runtime's table below .containerd.runtimes instead.\n"
      : '';
  return `version = 2

${proxyPlugin(options)}
[plugins."io.containerd.grpc.v1.cri".containerd]
${perRuntime}  snapshotter = ${JSON.stringify(name)}
  discard_unpacked_layers = false
`;
}

function versionThree(options: SnippetOptions): string {
  const { name } = options;
  return `version = 3

${proxyPlugin(options)}
[plugins.'io.containerd.cri.v1.images']
  snapshotter = '${name}'

# Pulls go through the transfer service: those of ctr from 2.0 on, those of CRI from 2.1 on. This list replaces
# containerd's default one: other snapshotters that are used need an entry too.
[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]
  platform = 'linux'
  snapshotter = '${name}'
`;
}

function proxyPlugin({ name, address, root, version }: SnippetOptions): string {
  const exports =
    version !== undefined && knowsExports(version)
      ? `  [proxy_plugins.${name}.exports]
    root = ${JSON.stringify(root)}
`
      : '';
  return `[proxy_plugins.${name}]
  type = "snapshot"
  address = ${JSON.stringify(address)}
${exports}`;
}

/** The CRI plugin takes the filesystem to watch for image space from `exports.root`. */
export function knowsExports(version: ContainerdVersion): boolean {
  if (version.major >= 2) return true;
  return version.minor >= 7 ? atLeast(version, 1, 7, 16) : atLeast(version, 1, 6, 32);
}

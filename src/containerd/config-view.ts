/** What of containerd's configuration concerns a snapshotter, whatever the format's version. Pure. */
import { isTable, stringAt, type Table, tableAt } from './table.ts';

export interface ProxyPlugin {
  readonly name: string;
  readonly type: string;
  readonly address: string;
  /** `exports.root`: where CRI measures the space of images. */
  readonly exportsRoot: string | undefined;
  readonly capabilities: readonly string[];
}

export interface ContainerdConfig {
  /** The `version` key; 1 when it is absent. */
  readonly version: number;
  readonly proxyPlugins: readonly ProxyPlugin[];
  readonly criEnabled: boolean;
  /** CRI's default snapshotter; undefined: containerd's own default, overlayfs. */
  readonly criSnapshotter: string | undefined;
  /** Runtime -> snapshotter, where a runtime has one of its own. */
  readonly runtimeSnapshotters: Readonly<Record<string, string>>;
  readonly discardsUnpackedLayers: boolean;
  /** CRI pulls by itself, not through the transfer service. */
  readonly pullsLocally: boolean;
  /** The snapshotters that the transfer service unpacks for; undefined: containerd's own default, overlayfs. */
  readonly unpack: readonly UnpackEntry[] | undefined;
  /** The pool of containerd's built-in devmapper snapshotter, when it is configured and enabled. */
  readonly builtInPool: string | undefined;
}

export interface UnpackEntry {
  readonly platform: string;
  readonly snapshotter: string;
}

const CRI = 'io.containerd.grpc.v1.cri';
const CRI_IMAGES = 'io.containerd.cri.v1.images';
const CRI_RUNTIME = 'io.containerd.cri.v1.runtime';
const TRANSFER = 'io.containerd.transfer.v1.local';
const DEVMAPPER = 'io.containerd.snapshotter.v1.devmapper';
/** Names of version 1, where plugins had no type in their names. */
const SHORT_NAMES: Readonly<Record<string, string>> = { cri: CRI, devmapper: DEVMAPPER };

/** @param merged all files, as `mergeConfigFiles` lays them over each other. */
export function viewConfig(merged: Table): ContainerdConfig {
  const version = typeof merged['version'] === 'number' ? merged['version'] : 1;
  const plugins = pluginsById(merged, version);
  const disabled = stringsOf(merged['disabled_plugins']).map((id) => longName(id, version));
  // Version 3 moved CRI's settings; what stands at the old place is ignored then, and migrated before.
  const images = version >= 3 ? tableAt(plugins, CRI_IMAGES) : tableAt(plugins, CRI, 'containerd');
  const runtimes =
    version >= 3
      ? tableAt(plugins, CRI_RUNTIME, 'containerd', 'runtimes')
      : tableAt(plugins, CRI, 'containerd', 'runtimes');
  const unpack = tableAt(plugins, TRANSFER)['unpack_config'];
  return {
    version,
    proxyPlugins: Object.entries(tableAt(merged, 'proxy_plugins')).flatMap(([name, table]) =>
      isTable(table) ? [proxyPlugin(name, table)] : [],
    ),
    criEnabled: ![CRI, CRI_IMAGES].some((id) => disabled.includes(id)),
    criSnapshotter: nonEmpty(stringAt(images, 'snapshotter')),
    runtimeSnapshotters: Object.fromEntries(
      Object.entries(runtimes).flatMap(([name, table]) => {
        const snapshotter = isTable(table) ? nonEmpty(stringAt(table, 'snapshotter')) : undefined;
        return snapshotter === undefined ? [] : [[name, snapshotter]];
      }),
    ),
    discardsUnpackedLayers: images['discard_unpacked_layers'] === true,
    pullsLocally: images['use_local_image_pull'] === true,
    unpack: Array.isArray(unpack) ? unpackEntries(unpack) : undefined,
    builtInPool: disabled.includes(DEVMAPPER)
      ? undefined
      : nonEmpty(stringAt(tableAt(plugins, DEVMAPPER), 'pool_name')),
  };
}

function pluginsById(merged: Table, version: number): Table {
  const entries = Object.entries(tableAt(merged, 'plugins'));
  return Object.fromEntries(entries.map(([id, table]) => [longName(id, version), table]));
}

function longName(id: string, version: number): string {
  return version === 1 ? (SHORT_NAMES[id] ?? id) : id;
}

function proxyPlugin(name: string, table: Table): ProxyPlugin {
  return {
    name,
    type: stringAt(table, 'type') ?? '',
    address: stringAt(table, 'address') ?? '',
    exportsRoot: nonEmpty(stringAt(tableAt(table, 'exports'), 'root')),
    capabilities: stringsOf(table['capabilities']),
  };
}

function unpackEntries(list: readonly unknown[]): UnpackEntry[] {
  return list.filter(isTable).map((entry) => ({
    platform: stringAt(entry, 'platform') ?? '',
    snapshotter: stringAt(entry, 'snapshotter') ?? '',
  }));
}

function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

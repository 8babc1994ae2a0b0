/** Judgements about containerd's configuration. Pure. Source of each: docs/decisions/0020-doctor.md. */
import type { ContainerdConfig, ProxyPlugin } from '../containerd/config-view.ts';
import { knowsExports } from '../containerd/snippet.ts';
import { atLeast, BUILT_IN_SNAPSHOTTERS, formatContainerdVersion } from '../containerd/version.ts';
import type { Facts } from './facts.ts';
import { failed, type Finding, ok, problem, unseen, warning } from './finding.ts';

const SNIPPET = 'dmthin config containerd prints what to write; then: systemctl restart containerd';
const UNREAD = "containerd's configuration was not read";
const OVERLAYFS = 'overlayfs';

export function judgeContainerd({ containerd }: Facts): Finding {
  const { version, config, configPath } = containerd;
  if (version !== undefined && !atLeast(version, 1, 6, 0)) {
    return problem(
      `containerd ${formatContainerdVersion(version)} is too old`,
      'install containerd 1.6 or later',
    );
  }
  if (config.kind === 'failed') {
    return failed(config.error, 'containerd does not start with such a file: correct it');
  }
  if (version === undefined) {
    return warning(
      'no containerd is in PATH: what follows goes by its configuration alone',
      'nothing, when another client (BuildKit, Docker) uses the snapshotter; else install containerd 1.6 or later',
    );
  }
  return ok(`containerd ${formatContainerdVersion(version)}, ${configPath}`);
}

interface Subject {
  readonly config: ContainerdConfig;
  readonly address: string;
  /** The proxy plugins that lead to us. */
  readonly ours: readonly ProxyPlugin[];
}

function subjectOf({ containerd, config }: Facts): Subject | undefined {
  if (containerd.config.kind !== 'known' || containerd.config.value === undefined || !config.ok)
    return undefined;
  const { address } = config.config;
  const proxies = containerd.config.value.proxyPlugins;
  return {
    config: containerd.config.value,
    address,
    ours: proxies.filter((plugin) => plugin.address === address && plugin.type === 'snapshot'),
  };
}

/** The name that a clash with gives; containerd knows its own by these. */
function isTaken({ name, type }: ProxyPlugin): boolean {
  return type === 'snapshot' && BUILT_IN_SNAPSHOTTERS.includes(name);
}

export function judgeProxyPlugin(facts: Facts): Finding {
  const { containerd, config } = facts;
  if (containerd.config.kind === 'known' && containerd.config.value === undefined && config.ok) {
    return containerd.version === undefined
      ? ok(`there is no ${containerd.configPath}`)
      : problem(`there is no ${containerd.configPath}, so containerd does not know dmthin`, SNIPPET);
  }
  const subject = subjectOf(facts);
  if (subject === undefined) return unseen(UNREAD);
  const { address, ours } = subject;
  const proxies = subject.config.proxyPlugins;
  const taken = proxies.find(isTaken);
  if (taken !== undefined) {
    return problem(
      `a proxy plugin is called ${taken.name}, as a built-in snapshotter is: containerd ends its start with "id already registered"`,
      `another name, such as dmthin: [proxy_plugins.dmthin]. ${SNIPPET}`,
    );
  }
  const [first] = ours;
  if (first === undefined) return notRegistered(proxies, address);
  const claims = first.capabilities.filter((one) => one === 'rebase' || one === 'remap-ids');
  if (claims.length > 0) {
    return problem(
      `proxy plugin ${first.name} claims ${claims.join(' and ')}, which dmthin does not have`,
      'take capabilities out of its table',
    );
  }
  const { version } = containerd;
  if (version !== undefined && knowsExports(version) && first.exportsRoot === undefined) {
    return warning(
      `proxy plugin ${first.name} has no exports.root: the kubelet learns nothing of the space that images take`,
      SNIPPET,
    );
  }
  return ok(`${ours.map(({ name }) => name).join(', ')} at ${address}`);
}

function notRegistered(proxies: readonly ProxyPlugin[], address: string): Finding {
  const near = proxies.find((plugin) => /^unix:/.test(plugin.address) && plugin.address.endsWith(address));
  if (near !== undefined) {
    return problem(
      `proxy plugin ${near.name} has the address ${near.address}: containerd wants the bare path`,
      `address = ${JSON.stringify(address)}`,
    );
  }
  const untyped = proxies.find((plugin) => plugin.address === address);
  if (untyped !== undefined) {
    return problem(
      `proxy plugin ${untyped.name} has type = ${JSON.stringify(untyped.type)}`,
      'type = "snapshot"',
    );
  }
  const others = proxies
    .filter(({ type }) => type === 'snapshot')
    .map((plugin) => `${plugin.name} at ${plugin.address}`);
  const found = others.length === 0 ? '' : `; there is ${others.join(', ')}`;
  return problem(`no proxy plugin has our address ${address}${found}`, SNIPPET);
}

export function judgeBuiltIn(facts: Facts): Finding {
  const subject = subjectOf(facts);
  if (subject === undefined || !facts.config.ok) return unseen(UNREAD);
  const { builtInPool } = subject.config;
  if (builtInPool === undefined) return ok('it is not configured');
  const { poolName } = facts.config.config;
  if (builtInPool !== poolName) return ok(`it uses the pool ${builtInPool}`);
  return problem(
    `it uses our pool ${poolName}: both would give out the same device ids`,
    'disabled_plugins = ["io.containerd.snapshotter.v1.devmapper"], or another pool for one of them',
  );
}

export function judgeCri(facts: Facts): Finding {
  const subject = subjectOf(facts);
  if (subject === undefined) return unseen(UNREAD);
  const { config, ours } = subject;
  if (!config.criEnabled) return ok('CRI is disabled');
  const [first] = ours;
  if (first === undefined) return unseen('no proxy plugin is ours');
  const isOurs = (name: string): boolean => ours.some((plugin) => plugin.name === name);
  const fallback = config.criSnapshotter ?? OVERLAYFS;
  const runtimes = Object.entries(config.runtimeSnapshotters);
  const ourRuntimes = runtimes.filter(([, name]) => isOurs(name)).map(([runtime]) => runtime);
  const mixed = isOurs(fallback) ? runtimes.some(([, name]) => !isOurs(name)) : ourRuntimes.length > 0;
  if (mixed && config.discardsUnpackedLayers) {
    return problem(
      'discard_unpacked_layers = true, and runtimes have different snapshotters: an image that one has unpacked is missing its layers for the other',
      'discard_unpacked_layers = false',
    );
  }
  if (isOurs(fallback)) return ok(`${fallback} is the snapshotter of every pod that asks for no other`);
  if (ourRuntimes.length > 0) return ok(`${first.name} for ${ourRuntimes.join(', ')}, ${fallback} else`);
  if (fallback === 'devmapper' || runtimes.some(([, name]) => name === 'devmapper')) {
    return problem(
      `CRI uses the snapshotter devmapper, which is containerd's own; ours is called ${first.name}`,
      `snapshotter = ${JSON.stringify(first.name)}. ${SNIPPET}`,
    );
  }
  return warning(
    `CRI uses ${fallback}: Kubernetes' pods are not on thin devices`,
    `nothing, when only ctr and nerdctl are to use dmthin; else snapshotter = ${JSON.stringify(first.name)}. ${SNIPPET}`,
  );
}

export function judgeUnpack(facts: Facts): Finding {
  const subject = subjectOf(facts);
  const { version } = facts.containerd;
  if (subject === undefined) return unseen(UNREAD);
  const isTwo = version === undefined ? subject.config.version >= 3 : version.major >= 2;
  if (!isTwo) return ok('containerd 1.x unpacks without it');
  const { config, ours } = subject;
  if (ours.length === 0) return unseen('no proxy plugin is ours');
  const used = new Set([
    ...ours.map(({ name }) => name),
    ...(config.criEnabled
      ? [config.criSnapshotter ?? OVERLAYFS, ...Object.values(config.runtimeSnapshotters)]
      : []),
  ]);
  const listed = config.unpack ?? [{ platform: '', snapshotter: OVERLAYFS }];
  const missing = [...used].filter((name) => !listed.some(({ snapshotter }) => snapshotter === name));
  if (missing.length > 0) {
    const what = `unpack_config of the transfer service has no entry for ${missing.join(', ')}: pulls for it fail with "no unpack platforms defined"`;
    const entries = [...used].map((name) => `{ platform = "linux", snapshotter = "${name}" }`).join(', ');
    const remedy = `[plugins.'io.containerd.transfer.v1.local'] unpack_config = [${entries}]`;
    return config.pullsLocally
      ? warning(`${what} (those of ctr: CRI pulls locally)`, remedy)
      : problem(what, remedy);
  }
  const foreign = listed.filter(({ platform }) => platform !== '' && !platform.startsWith('linux'));
  if (foreign.length > 0) {
    return problem(
      `unpack_config names the platform ${foreign.map(({ platform }) => platform).join(', ')}, which this machine is not`,
      'platform = "linux"',
    );
  }
  return ok(`unpacks for ${[...used].join(', ')}`);
}

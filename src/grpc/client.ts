/** A client of a dmthin daemon for the command line and for tests. */
import { DmthinError } from '../base/errors.ts';
import type { LabelChange, Labels, Mount, SnapshotInfo, Usage } from '../snapshotter/snapshotter.ts';
import { parseAddress, probeSocket } from './address.ts';
import { openChannel } from './channel.ts';
import { infoFromWire } from './convert.ts';
import { type Info, Snapshots } from './gen/containerd/services/snapshots/v1/snapshots_pb.ts';
import { Health, HealthCheckResponse_ServingStatus } from './gen/grpc/health/v1/health_pb.ts';

export interface ClientOptions {
  /** For each call, default 60 000; a List counts from its start to its end. */
  readonly deadlineMs?: number | undefined;
  /** Cancels the calls under way and those to come. */
  readonly signal?: AbortSignal | undefined;
  /** What the requests call the plugin; a dmthin daemon only logs it. Default `dmthin`. */
  readonly snapshotter?: string | undefined;
  /** Sent with each call: containerd's own Snapshots service asks for `containerd-namespace`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The service as a caller sees it. Every call throws the daemon's error with its code and full text. */
export interface SnapshotsClient {
  prepare(key: string, parent: string, labels?: Labels): Promise<Mount[]>;
  view(key: string, parent: string, labels?: Labels): Promise<Mount[]>;
  mounts(key: string): Promise<Mount[]>;
  commit(name: string, key: string, labels?: Labels, expectedParent?: string): Promise<void>;
  remove(key: string): Promise<void>;
  stat(key: string): Promise<SnapshotInfo>;
  update(name: string, change: LabelChange): Promise<SnapshotInfo>;
  /** In pages, as the daemon sends them; ending the iteration early cancels the call. */
  list(filters?: readonly string[]): AsyncIterable<SnapshotInfo[]>;
  usage(key: string): Promise<Usage>;
  cleanup(): Promise<void>;
  /** Whether calls that need the pool get through now. */
  isServing(): Promise<boolean>;
  close(): void;
}

/**
 * @throws unavailable when nobody answers at `address`; config when it is no socket's address.
 */
export async function connect(address: string, options: ClientOptions = {}): Promise<SnapshotsClient> {
  return createClient(await requireDaemon(address), options);
}

/** @returns the path of the socket, at which somebody answers. @throws as {@link connect}. */
export async function requireDaemon(address: string): Promise<string> {
  const path = parseAddress(address);
  const presence = await probeSocket(path);
  if (presence.kind === 'live') return path;
  const unknown = presence.kind === 'unknown';
  throw new DmthinError('unavailable', {
    op: 'connect',
    what: `no dmthin daemon answers at ${path}`,
    errno: unknown ? presence.errno : undefined,
    nextStep: unknown
      ? 'run as the user whom the socket belongs to'
      : 'start the daemon (systemctl start dmthin), or give the address that it listens on',
  });
}

function createClient(path: string, options: ClientOptions): SnapshotsClient {
  const { deadlineMs = 60_000, signal, snapshotter = 'dmthin', headers } = options;
  const channel = openChannel(path, { deadlineMs, signal, headers });
  const method = Snapshots.method;

  async function stat(key: string): Promise<SnapshotInfo> {
    return present('Stat', (await channel.unary(method.stat, { snapshotter, key })).info);
  }

  return {
    prepare: async (key, parent, labels = {}) =>
      mountsFromWire((await channel.unary(method.prepare, { snapshotter, key, parent, labels })).mounts),
    view: async (key, parent, labels = {}) =>
      mountsFromWire((await channel.unary(method.view, { snapshotter, key, parent, labels })).mounts),
    mounts: async (key) => mountsFromWire((await channel.unary(method.mounts, { snapshotter, key })).mounts),
    commit: async (name, key, labels = {}, parent = '') => {
      await channel.unary(method.commit, { snapshotter, name, key, labels, parent });
    },
    remove: async (key) => {
      await channel.unary(method.remove, { snapshotter, key });
    },
    stat,
    update: async (name, { kind, labels }) => {
      const paths = kind === 'replace' ? ['labels'] : Object.keys(labels).map((key) => `labels.${key}`);
      // On the wire no path at all means: replace everything.
      if (paths.length === 0) return stat(name);
      const request = { snapshotter, info: { name, labels }, updateMask: { paths } };
      return present('Update', (await channel.unary(method.update, request)).info);
    },
    list: async function* (filters = []) {
      for await (const page of channel.stream(method.list, { snapshotter, filters: [...filters] })) {
        yield page.info.map((info) => infoFromWire(info, 'List'));
      }
    },
    usage: async (key) => {
      const { size, inodes } = await channel.unary(method.usage, { snapshotter, key });
      return { sizeBytes: Number(size), inodes: Number(inodes) };
    },
    cleanup: async () => {
      await channel.unary(method.cleanup, { snapshotter });
    },
    isServing: async () => {
      const { status } = await channel.unary(Health.method.check, { service: Snapshots.typeName });
      return status === HealthCheckResponse_ServingStatus.SERVING;
    },
    close: () => channel.close(),
  };
}

/** Without what belongs to the wire form alone. */
function mountsFromWire(mounts: readonly Mount[]): Mount[] {
  return mounts.map(({ type, source, target, options }) => ({ type, source, target, options }));
}

function present(op: string, info: Info | undefined): SnapshotInfo {
  if (info !== undefined) return infoFromWire(info, op);
  throw new DmthinError('internal', { op, what: 'the daemon answered without a snapshot' });
}

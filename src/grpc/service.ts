/** containerd's Snapshots service over a {@link Snapshotter}. Requests are validated here, at the edge. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Labels, Mount, Snapshotter } from '../snapshotter/snapshotter.ts';
import { parseFilters } from '../snapshotter/filter.ts';
import { validateKey, validateLabels } from '../snapshotter/labels.ts';
import { infoToWire, labelChange } from './convert.ts';
import { Snapshots } from './gen/containerd/services/snapshots/v1/snapshots_pb.ts';
import type { MountSchema } from './gen/containerd/types/mount_pb.ts';
import { encodePages } from './pages.ts';
import { type Rpc, serverStream, unary } from './rpc.ts';

/**
 * The ten calls. The request's `snapshotter` field is ignored: one socket may be registered under several names.
 * Field numbers, semantics and status codes: docs/architecture.md.
 */
export function createSnapshotsService(snapshotter: Snapshotter): readonly Rpc[] {
  const method = Snapshots.method;
  return [
    unary(method.prepare, async ({ key, parent, labels }, options) => {
      validateNew('Prepare', key, parent, labels);
      return { mounts: (await snapshotter.prepare(key, parent, labels, options)).map(mountToWire) };
    }),
    unary(method.view, async ({ key, parent, labels }, options) => {
      validateNew('View', key, parent, labels);
      return { mounts: (await snapshotter.view(key, parent, labels, options)).map(mountToWire) };
    }),
    unary(method.mounts, async ({ key }, options) => {
      validateKey(key, 'Mounts');
      return { mounts: (await snapshotter.mounts(key, options)).map(mountToWire) };
    }),
    unary(method.commit, async ({ name, key, labels, parent }, options) => {
      validateKey(name, 'Commit', 'name');
      validateKey(key, 'Commit');
      validateLabels(labels, 'Commit');
      await snapshotter.commit(name, key, labels, parent === '' ? undefined : parent, options);
      return {};
    }),
    unary(method.remove, async ({ key }, options) => {
      validateKey(key, 'Remove');
      await snapshotter.remove(key, options);
      return {};
    }),
    unary(method.stat, async ({ key }) => {
      validateKey(key, 'Stat');
      return { info: infoToWire(await snapshotter.stat(key)) };
    }),
    unary(method.update, async ({ info, updateMask }) => {
      const name = info?.name ?? '';
      validateKey(name, 'Update', 'name');
      const change = labelChange(info?.labels ?? {}, updateMask?.paths ?? []);
      validateLabels(change.labels, 'Update');
      return { info: infoToWire(await snapshotter.update(name, change)) };
    }),
    serverStream(method.list, ({ filters }) => encodePages(snapshotter.list(parseFilters(filters)))),
    unary(method.usage, async ({ key }, options) => {
      validateKey(key, 'Usage');
      const usage = await snapshotter.usage(key, options);
      return { size: BigInt(usage.sizeBytes), inodes: BigInt(usage.inodes) };
    }),
    unary(method.cleanup, async (_request, options) => {
      await snapshotter.cleanup(options);
      return {};
    }),
  ];
}

function validateNew(op: string, key: string, parent: string, labels: Labels): void {
  validateKey(key, op);
  if (parent !== '') validateKey(parent, op, 'parent');
  validateLabels(labels, op);
}

function mountToWire(mount: Mount): MessageInitShape<typeof MountSchema> {
  return { ...mount, options: [...mount.options] };
}

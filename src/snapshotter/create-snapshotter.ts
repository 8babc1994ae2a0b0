/** The ten operations, put together. */
import { commitSnapshot } from './commit.ts';
import type { Context } from './context.ts';
import { createSnapshot } from './create.ts';
import { list, mounts, stat, update, usage } from './queries.ts';
import { cleanup, removeSnapshot } from './remove.ts';
import type { Snapshotter } from './snapshotter.ts';

export function createSnapshotter(context: Context): Snapshotter {
  return {
    prepare: (key, parent, labels, options) =>
      createSnapshot(context, { op: 'Prepare', kind: 'active', key, parent, labels }, options),
    view: (key, parent, labels, options) =>
      createSnapshot(context, { op: 'View', kind: 'view', key, parent, labels }, options),
    mounts: (key) => mounts(context, key),
    commit: (name, key, labels, expectedParent) =>
      commitSnapshot(context, { name, key, labels, expectedParent }),
    remove: (key, options) => removeSnapshot(context, key, options),
    stat: async (key) => stat(context, key),
    update: (name, change) => update(context, name, change),
    list: (predicate) => list(context, predicate),
    usage: (key) => usage(context, key),
    cleanup: () => cleanup(context),
  };
}

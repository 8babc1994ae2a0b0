/** A client of a daemon, as the callers use it. */
import type { SnapshotsClient } from '../../src/grpc/client.ts';
import type { SnapshotInfo } from '../../src/snapshotter/snapshotter.ts';
import { LABEL, type Target } from './callers.ts';

export function targetOf(client: SnapshotsClient): Target {
  return {
    async ask(call) {
      const labels = 'label' in call ? { [LABEL]: call.label } : {};
      switch (call.op) {
        case 'prepare':
          await client.prepare(call.key, call.parent, labels);
          return undefined;
        case 'view':
          await client.view(call.key, call.parent, labels);
          return undefined;
        case 'commit':
          await client.commit(call.name, call.key, labels);
          return undefined;
        case 'remove':
          await client.remove(call.key);
          return undefined;
        case 'mounts':
          await client.mounts(call.key);
          return undefined;
        case 'usage':
          await client.usage(call.key);
          return undefined;
        case 'stat':
          return [await client.stat(call.key)];
        case 'update':
          return [await client.update(call.key, { kind: 'replace', labels })];
        case 'list':
          return listAll(client);
        default:
          return call satisfies never;
      }
    },
  };
}

export async function listAll(client: SnapshotsClient): Promise<SnapshotInfo[]> {
  const all: SnapshotInfo[] = [];
  for await (const page of client.list()) all.push(...page);
  return all;
}

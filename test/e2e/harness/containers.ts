/** Containers that keep running while a test looks at them. */
import type { Node } from './node.ts';

export interface RunningContainer {
  /** Also the key of its snapshot. */
  readonly id: string;
  /** Standard output of a shell script run inside. */
  sh(script: string): Promise<string>;
  /** Ends its processes; container and snapshot stay. */
  kill(): Promise<void>;
  /** Removes the container and its snapshot. */
  remove(): Promise<void>;
}

/** Starts a container of `reference`, an image with /bin/sh and sleep, that does nothing until told to. */
export async function startContainer(node: Node, reference: string, id: string): Promise<RunningContainer> {
  // Without the standard streams of a ctr that is gone by then.
  await node.ctr.run(['--detach', '--null-io'], reference, id, 'sleep', '1000000');
  let executions = 0;
  return {
    id,
    sh(script) {
      executions += 1;
      return node.ctr('tasks', 'exec', '--exec-id', `exec-${executions}`, id, 'sh', '-c', script);
    },
    async kill() {
      await node.ctr('tasks', 'rm', '--force', id);
    },
    async remove() {
      await node.ctr('containers', 'rm', id);
    },
  };
}

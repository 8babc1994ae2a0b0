/** Ends a guest whose owner died without a chance to do so (SIGKILL, out of memory). */
import { spawn } from 'node:child_process';

/** Waits for a line; end of input instead means that the owner is dead. $1 process group, $2 directory or ''. */
const SCRIPT = 'read -r line && exit; kill -s KILL -- "-$1" 2> /dev/null; [ -z "$2" ] || rm -rf -- "$2"';

/**
 * Starts a small process that kills the process group and removes the directory when this process ends, however it
 * ends. Dispose of it once the group is gone.
 * @param processGroup undefined when there is none, and nothing to guard.
 * @param directory '' for none.
 */
export function createGuardian(processGroup: number | undefined, directory: string): Disposable {
  if (processGroup === undefined) return { [Symbol.dispose]: () => undefined };
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'guardian', String(processGroup), directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // A terminal's Ctrl-C must not end it before its owner.
    detached: true,
  });
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  return {
    [Symbol.dispose]() {
      child.stdin.end('done\n');
    },
  };
}

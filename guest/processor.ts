/**
 * One processor of the host for each guest.
 *
 * The kernel and its processes are processes of the host that hand over to each other at every system call, one running at a
 * time. On one processor that takes a fraction of what it takes to wake another one: dmthin's calls are three times faster.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../src/base/errors.ts';
import { acquireFileLock } from '../src/base/file-lock.ts';

export interface Processor extends Disposable {
  /** As the host counts them, from 0. */
  readonly number: number;
}

/**
 * Takes the first of `allowed` that no other guest has taken, by a lock in `directory` that ends with this process.
 * @returns undefined when all are taken: such a guest runs where the host puts it.
 */
export function claimProcessor(allowed: readonly number[], directory: string): Processor | undefined {
  mkdirSync(directory, { recursive: true });
  for (const number of allowed) {
    try {
      const lock = acquireFileLock(join(directory, `processor-${number}.lock`));
      return { number, [Symbol.dispose]: () => lock.release() };
    } catch (error) {
      if (!hasCode(error, 'locked')) throw error;
    }
  }
  return undefined;
}

/** The processors that this process may use, from the text of /proc/self/status: `Cpus_allowed_list: 0-3,8`. */
export function allowedProcessors(status: string): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '';
  return list.split(',').flatMap((part) => {
    const [first, last] = part.split('-').map(Number);
    if (first === undefined || part === '') return [];
    return Array.from({ length: (last ?? first) - first + 1 }, (_, index) => first + index);
  });
}

/** Check and repair as their callers see them, in the daemon or from a command. */
import { check, type CheckReport } from './check.ts';
import type { RepairOptions, RepairRequest } from './remedies.ts';
import { repair, type RepairReport } from './repair.ts';

export interface Inspector {
  /** @throws unavailable: there is no pool; unsupported: thin_ls is not installed. */
  check(): Promise<CheckReport>;
  /** @throws invalid_argument: a named device is not one that no record names; what check throws. */
  repair(request: RepairRequest): Promise<RepairReport>;
}

export function createInspector(options: RepairOptions): Inspector {
  // One repair at a time; a check beside it would tell of what is being repaired.
  const alone = <T>(body: () => Promise<T>): Promise<T> => options.locks.run('inspect', body);
  return {
    check: () => alone(() => check(options)),
    repair: (request) => alone(() => repair(options, request)),
  };
}

/** The tables of the database, and how their keys are ordered. Values are JSON, readable with any LMDB tool. */
import type { Database, RootDatabase } from 'lmdb';

export interface Tables {
  /** 'meta' -> Meta */
  readonly meta: Database<unknown, string>;
  /** snapshot id -> SnapshotRecord */
  readonly snapshots: Database<unknown, number>;
  /** key or name of a snapshot that is not being removed -> snapshot id */
  readonly names: Database<unknown, string>;
  /** [parent id, child id] -> true, for children that are not being removed */
  readonly children: Database<unknown, [number, number]>;
  /** snapshot id -> true, for those being removed */
  readonly removals: Database<unknown, number>;
  /** device id -> DeviceOwner */
  readonly devices: Database<unknown, number>;
  /** base key -> BaseRecord */
  readonly bases: Database<unknown, string>;
}

export function openTables(environment: RootDatabase): Tables {
  return {
    meta: environment.openDB('meta', { encoding: 'json' }),
    snapshots: environment.openDB('snapshots', { encoding: 'json' }),
    names: environment.openDB('names', { encoding: 'json' }),
    children: environment.openDB('children', { encoding: 'json' }),
    removals: environment.openDB('removals', { encoding: 'json' }),
    devices: environment.openDB('devices', { encoding: 'json' }),
    bases: environment.openDB('bases', { encoding: 'json' }),
  };
}

/** Names under which work is serialised. Order: a key's lock may be held when a base's or removal's is taken, never the reverse. */
import type { SnapshotId } from '../base/units.ts';

/** Held by an operation on a snapshot's key or name from its first check to its reply. */
export function keyLock(key: string): string {
  return `key ${key}`;
}

/** Held while a base device is made or deleted. */
export function baseLock(key: string): string {
  return `base ${key}`;
}

/** Held while a durable removal is being finished. */
export function removalLock(id: SnapshotId): string {
  return `removal ${id}`;
}

/** Held while the pool's metadata snapshot is taken, read and given back: there is only one. */
export const METADATA_SNAPSHOT_LOCK = 'metadata snapshot';

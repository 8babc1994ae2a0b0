/**
 * Comparing store, pool and kernel while operations may be under way.
 *
 * INVARIANT: what a check tells was seen twice, the second time under the locks of the records that it is about. An
 * operation holds its key's lock from its first check to its reply, so its half-done work is seen once at most.
 */
import type { KeyedMutex } from '../base/keyed-mutex.ts';
import { baseLock, keyLock, removalLock } from '../pool/locks.ts';
import type { StoreReader } from '../store/store.ts';
import { compare } from './compare.ts';
import type { Facts } from './facts.ts';
import { type Finding, identity } from './findings.ts';
import { readFacts, type ReadFactsOptions } from './read-facts.ts';

export interface CheckReport {
  readonly pool: string;
  readonly findings: readonly Finding[];
  readonly snapshots: number;
  readonly bases: number;
  /** Devices of the pool by its own account; undefined when its state does not let it be asked. */
  readonly poolDevices: number | undefined;
}

/** Changes nothing. @throws unavailable: there is no pool; unsupported: thin_ls is not installed. */
export async function check(options: ReadFactsOptions): Promise<CheckReport> {
  const { facts, findings } = await inspect(options);
  return {
    pool: facts.pool.name,
    findings,
    snapshots: facts.snapshots.length,
    bases: facts.bases.length,
    poolDevices: facts.poolIds?.size,
  };
}

export interface Inspection {
  readonly facts: Facts;
  readonly findings: readonly Finding[];
}

/** A check with what it saw. @throws as {@link check}. */
export async function inspect(options: ReadFactsOptions): Promise<Inspection> {
  const first = await readFacts(options);
  const suspects = compare(first);
  if (suspects.length === 0) return { facts: first, findings: [] };
  const seen = new Set(suspects.map(identity));
  return withLocksOf(options, suspects, async () => {
    const facts = await readFacts(options);
    const findings = compare(facts).filter((finding) => seen.has(identity(finding)));
    return { facts, findings };
  });
}

/** Runs `body` while no operation is at work on what the findings are about. Locks are taken in the order of locks.ts. */
export async function withLocksOf<T>(
  { store, locks }: { readonly store: StoreReader; readonly locks: KeyedMutex },
  findings: readonly Finding[],
  body: () => Promise<T>,
): Promise<T> {
  const keys: string[] = [];
  const bases: string[] = [];
  const removals: string[] = [];
  for (const { key, deviceId } of findings) {
    if (key !== undefined) keys.push(keyLock(key));
    const owner = deviceId === undefined ? undefined : store.deviceOwner(deviceId);
    if (owner?.kind === 'base') bases.push(baseLock(owner.key));
    if (owner?.kind !== 'snapshot') continue;
    removals.push(removalLock(owner.id));
    const record = store.snapshot(owner.id);
    if (record !== undefined) keys.push(keyLock(record.key));
  }
  return locks.runAll(keys, () => locks.runAll(bases, () => locks.runAll(removals, body)));
}

/** The pool that the configuration describes: assembled when it is not there, left alone when it is. */
import type { LvmVolume } from './lvm-names.ts';
import { describeStep } from './provision-apply.ts';
import { volumePaths } from './provision-facts.ts';
import type { ChangeDeps, PoolBacking, PoolRequest, ProvisionDeps, Role } from './provision-request.ts';
import { adoptLvmPool, describeAdoption } from './provision-lvm.ts';
import { createPool, type ProvisionResult } from './provision.ts';

export type DescribedBacking = PoolBacking | { readonly kind: 'lvm'; readonly lvm: LvmVolume };

export type DescribedPool = Omit<PoolRequest, 'force' | 'backing'> & { readonly backing: DescribedBacking };

export interface EnsureResult {
  readonly outcome: ProvisionResult['outcome'];
  /** In words. */
  readonly steps: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Like {@link createPool}, but the sizes that are asked for are those of files yet to be made: a file that is there is
 * taken as it is, because it may have grown since.
 * @throws what createPool and adoptLvmPool throw.
 */
export async function ensurePool(
  described: DescribedPool,
  deps: ChangeDeps,
  options: { readonly dryRun?: boolean } = {},
): Promise<EnsureResult> {
  const { name, backing } = described;
  if (backing.kind === 'lvm') {
    const adopted = await adoptLvmPool(backing.lvm, name, deps, options);
    return { outcome: adopted.outcome, steps: describeAdoption(backing.lvm, adopted), warnings: [] };
  }
  const request = { ...described, backing: await withSizesFound(name, backing, deps), force: false };
  const { outcome, steps, warnings } = await createPool(request, deps, options);
  return { outcome, steps: steps.map((step) => describeStep(step, name)), warnings };
}

async function withSizesFound(
  name: DescribedPool['name'],
  backing: PoolBacking,
  { devices }: ProvisionDeps,
): Promise<PoolBacking> {
  if (backing.kind !== 'loop') return backing;
  const paths = volumePaths({ name, backing });
  const isThere = async (role: Role) => (await devices.describe(paths[role])) !== undefined;
  return {
    ...backing,
    dataBytes: (await isThere('data')) ? undefined : backing.dataBytes,
    metadataBytes: (await isThere('metadata')) ? undefined : backing.metadataBytes,
  };
}

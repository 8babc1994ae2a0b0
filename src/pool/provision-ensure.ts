/** The pool that the configuration describes: assembled when it is not there, left alone when it is. */
import type { ProvisionDeps, PoolRequest, Role } from './provision-facts.ts';
import { volumePaths } from './provision-facts.ts';
import { createPool, type ProvisionResult } from './provision.ts';

export type DescribedPool = Omit<PoolRequest, 'force'>;

/**
 * Like {@link createPool}, but the sizes that are asked for are those of files yet to be made: a file that is there is
 * taken as it is, because it may have grown since.
 * @throws what createPool throws.
 */
export async function ensurePool(
  described: DescribedPool,
  deps: ProvisionDeps,
  options: { readonly dryRun?: boolean } = {},
): Promise<ProvisionResult> {
  return createPool({ ...(await withSizesFound(described, deps)), force: false }, deps, options);
}

async function withSizesFound(described: DescribedPool, { devices }: ProvisionDeps): Promise<DescribedPool> {
  const { backing } = described;
  if (backing.kind !== 'loop') return described;
  const paths = volumePaths(described);
  const isThere = async (role: Role) => (await devices.describe(paths[role])) !== undefined;
  return {
    ...described,
    backing: {
      ...backing,
      dataBytes: (await isThere('data')) ? undefined : backing.dataBytes,
      metadataBytes: (await isThere('metadata')) ? undefined : backing.metadataBytes,
    },
  };
}

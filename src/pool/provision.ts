/** Makes or assembles a thin pool, so that the same request twice, or after a reboot, ends in the same pool. */
import { formatSize, type DmName } from '../base/units.ts';
import { DmthinError } from '../base/errors.ts';
import { removeHalfMadePool } from './half-made-pool.ts';
import { MAX_POOL_NAME_LENGTH } from './names.ts';
import { applyPlan } from './provision-apply.ts';
import { formatLine } from '../dm/parse.ts';
import { poolTable } from '../dm/tables.ts';
import { type PoolFacts, readPoolFacts } from './provision-facts.ts';
import type { ChangeDeps, PoolRequest, ProvisionDeps, Role } from './provision-request.ts';
import { type Plan, planPool, type PoolGeometry, type Step } from './provision-plan.ts';

export interface ProvisionResult {
  /** `present`: nothing had to be done; `assembled`: the pool was on its volumes; `made`: it is new. */
  readonly outcome: 'present' | 'assembled' | 'made';
  /** Done, or with `dryRun` to be done. */
  readonly steps: readonly Step[];
  /** The pool's device-mapper table, as dmsetup prints it; `LOOP(FILE)` where a loop device is still to be attached. */
  readonly table: string | undefined;
  /** Sentences about what works now and may hurt later. */
  readonly warnings: readonly string[];
}

/**
 * What a dead process had begun to make goes first.
 * @throws locked, already_exists, failed_precondition, busy, not_found, invalid_argument with nothing changed; what a step
 *   throws with everything taken back.
 */
export async function createPool(
  request: PoolRequest,
  deps: ChangeDeps,
  options: { readonly dryRun?: boolean } = {},
): Promise<ProvisionResult> {
  const { name } = request;
  checkName(name);
  if (options.dryRun === true || (await deps.dm.info(name))?.live === true)
    return provision(request, deps, options);
  const lock = deps.poolChanges.lock(name);
  try {
    await removeHalfMadePool(name, deps.dm);
    return await provision(request, deps, options);
  } finally {
    lock.release();
  }
}

async function provision(
  request: PoolRequest,
  deps: ProvisionDeps,
  options: { readonly dryRun?: boolean },
): Promise<ProvisionResult> {
  const facts = await readPoolFacts(request, deps);
  const plan = planPool(request, facts);
  if (options.dryRun !== true) await applyPlan(plan, request.name, deps);
  const last = plan.steps.at(-1);
  return {
    outcome: last?.do !== 'activate' ? 'present' : last.formats ? 'made' : 'assembled',
    steps: plan.steps,
    table: last?.do === 'activate' ? tableLine(last.geometry, plan, facts) : undefined,
    warnings: await warningsFor(request, plan.steps, deps),
  };
}

function tableLine(geometry: PoolGeometry, { devices }: Plan, { volumes }: PoolFacts): string {
  const device = (role: Role): string => devices[role] ?? `LOOP(${volumes[role].path})`;
  return formatLine(
    poolTable({ ...geometry, dataDevice: device('data'), metadataDevice: device('metadata') }),
  );
}

function checkName(name: DmName): void {
  if (name.length <= MAX_POOL_NAME_LENGTH) return;
  throw new DmthinError('invalid_argument', {
    op: 'pool create',
    what: `the name has ${name.length} characters; ${MAX_POOL_NAME_LENGTH} leave room for those of the pool's devices`,
  });
}

async function warningsFor(
  { backing }: PoolRequest,
  steps: readonly Step[],
  { devices }: ProvisionDeps,
): Promise<string[]> {
  if (backing.kind !== 'loop') return [];
  const made = steps.reduce((sum, step) => sum + (step.do === 'make_file' ? step.sizeBytes : 0), 0);
  if (made === 0) return [];
  const free = await devices.freeBytes(backing.directory);
  if (free >= made) return [];
  return [
    `the filesystem of ${backing.directory} has ${formatSize(free)} free, less than the ${formatSize(made)} that the pool may fill: when it runs full, writes fail`,
  ];
}

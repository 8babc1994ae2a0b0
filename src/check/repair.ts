/**
 * Doing what the findings of a check ask for. Most of it is recovery, which every start of the daemon does; the rest is here.
 *
 * INVARIANTS
 * - A device that the store does not own is deleted only when it was named by its id.
 * - What is repaired is told by a second check, not by the remedies' own word.
 */
import { DmthinError, toDmthinError } from '../base/errors.ts';
import type { Store } from '../store/store.ts';
import { inspect, type Inspection, withLocksOf } from './check.ts';
import { type Finding, FINDINGS, identity } from './findings.ts';
import { hasOwnRemedy, REMEDIES, type RepairOptions, type RepairRequest } from './remedies.ts';

export interface Outcome {
  readonly finding: Finding;
  /** `would`: a dry run that could do it. `left`: not done, `why` says what keeps it. */
  readonly result: 'would' | 'repaired' | 'left';
  readonly why?: string | undefined;
}

export interface RepairReport {
  readonly pool: string;
  readonly applied: boolean;
  readonly outcomes: readonly Outcome[];
}

/**
 * Devices that were noted as not ours may be named for deletion too.
 * @throws invalid_argument when a named device is a snapshot's or base's, or is not in the pool; what check throws.
 */
export async function repair(options: RepairOptions, request: RepairRequest): Promise<RepairReport> {
  const before = await inspect(options);
  const findings = [...before.findings, ...namedForeign(options, before, request)];
  requireUnowned(options, findings, request);
  const plan = findings.map((finding) => planned(options, findings, finding, request));
  if (!request.apply) return { pool: options.poolName, applied: false, outcomes: plan };

  const problems = new Map<string, string>();
  const due = plan.filter(({ result }) => result === 'would').map(({ finding }) => finding);
  if (due.some(({ kind }) => FINDINGS[kind].by === 'recovery')) await recoverAll(options, due, problems);
  // Children come after their parents, and go before them.
  for (const finding of due.toReversed()) {
    const { kind } = finding;
    if (!hasOwnRemedy(kind)) continue;
    try {
      await withLocksOf(options, [finding], () => REMEDIES[kind](options, finding, request));
    } catch (error) {
      problems.set(identity(finding), toDmthinError(error, 'repair').message);
    }
  }
  const after = await inspect(options);
  const stays = new Set([...after.findings, ...namedForeign(options, after, request)].map(identity));
  const outcomes = plan.map(({ finding, why }): Outcome => {
    const id = identity(finding);
    // A pool that cannot be listed any more does not show what its refusal says.
    if (!stays.has(id) && !problems.has(id)) return { finding, result: 'repaired' };
    return { finding, result: 'left', why: problems.get(id) ?? why ?? problems.get('recovery') };
  });
  const known = new Set(plan.map(({ finding }) => identity(finding)));
  const appeared = after.findings
    .filter((finding) => !known.has(identity(finding)))
    .map((finding): Outcome => ({ finding, result: 'left', why: 'it showed only now: repair again' }));
  return { pool: options.poolName, applied: true, outcomes: [...outcomes, ...appeared] };
}

/** What can be done about one finding, before anything is. */
function planned(
  { store }: RepairOptions,
  all: readonly Finding[],
  finding: Finding,
  { deleteDevices, keepDevices }: RepairRequest,
): Outcome {
  const { kind, deviceId } = finding;
  const left = (why: string): Outcome => ({ finding, result: 'left', why });
  switch (FINDINGS[kind].by) {
    case 'hand':
      return left(FINDINGS[kind].remedy);
    case 'option':
      return deviceId !== undefined && [...deleteDevices, ...keepDevices].includes(deviceId)
        ? { finding, result: 'would' }
        : left(FINDINGS[kind].remedy.replaceAll('ID', String(deviceId)));
    case 'repair':
      if (kind !== 'missing-device') break;
      if (ownsOtherDevices(store, all)) break;
      return left(
        'the pool has none of the devices of this store: it may be another pool; see what it stands on',
      );
    case 'recovery':
      break;
  }
  return { finding, result: 'would' };
}

/** False when every device that the store has contents on is missing, and there are several. */
function ownsOtherDevices(store: Store, findings: readonly Finding[]): boolean {
  const missing = findings.filter(({ kind }) => kind === 'missing-device').length;
  let owned = store.bases().filter(({ state }) => state === 'ready').length;
  for (const { state } of store.allSnapshots()) if (state === 'active' || state === 'committed') owned += 1;
  return missing === 1 || missing < owned;
}

/** Devices that are to be deleted, and that the pool has and the store knows not to be ours. */
function namedForeign(
  { store }: RepairOptions,
  { facts: { poolIds } }: Inspection,
  { deleteDevices }: RepairRequest,
): Finding[] {
  return deleteDevices
    .filter((id) => poolIds?.has(id) === true && store.deviceOwner(id)?.kind === 'foreign')
    .map((id) => ({
      kind: 'leaked-device',
      what: `the pool has device ${id}, which is noted as not ours`,
      deviceId: id,
    }));
}

function requireUnowned(
  { store }: RepairOptions,
  findings: readonly Finding[],
  { deleteDevices, keepDevices }: RepairRequest,
): void {
  for (const id of [...deleteDevices, ...keepDevices]) {
    const owner = store.deviceOwner(id);
    const refuse = (what: string): DmthinError =>
      new DmthinError('invalid_argument', { op: 'repair', what, deviceId: id, nextStep: 'dmthin check' });
    if (owner?.kind === 'snapshot') {
      const key = store.snapshot(owner.id)?.key ?? '';
      throw refuse(`device ${id} belongs to snapshot ${JSON.stringify(key)}`);
    }
    if (owner?.kind === 'base') throw refuse(`device ${id} is a base device`);
    if (!findings.some(({ kind, deviceId }) => kind === 'leaked-device' && deviceId === id))
      throw refuse(`device ${id} is not among the leaked devices`);
  }
}

async function recoverAll(
  options: RepairOptions,
  due: readonly Finding[],
  problems: Map<string, string>,
): Promise<void> {
  try {
    const report = await options.recover();
    if (report.problems.length > 0) problems.set('recovery', report.problems.join('; '));
    if (due.some(({ kind }) => kind === 'removal-unfinished')) await options.finishRemovals();
  } catch (error) {
    problems.set('recovery', toDmthinError(error, 'repair').message);
  }
}

/**
 * The code broken on purpose: what each mutation takes away is what keeps the promise of a crash. `npm run crash --
 * --mutations` runs the scenarios of each and fails when none of them notices. The edits are made to the source as the
 * victim loads it; test/unit/crash/mutations.test.ts holds that each still has its place there.
 */

export interface Edit {
  readonly find: string;
  readonly replace: string;
}

export interface Mutation {
  readonly name: string;
  /** What is broken, in words. */
  readonly breaks: string;
  /** From the repository's root. */
  readonly file: string;
  readonly edits: readonly Edit[];
  /** The scenarios that must notice. */
  readonly scenarios: readonly string[];
}

/** Names the victim's mutation in its environment. */
export const MUTATION_VARIABLE = 'DMTHIN_CRASH_MUTATION';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'no-intent',
    breaks: 'Prepare writes no record before it makes the device',
    file: 'src/snapshotter/create.ts',
    edits: [
      { find: 'tx.insertSnapshot(record);', replace: '' },
      { find: 'tx.updateSnapshot(active)', replace: 'tx.insertSnapshot(active)' },
    ],
    scenarios: ['prepare-child'],
  },
  {
    name: 'no-undo',
    breaks: 'recovery forgets an interrupted creation without deleting its device',
    file: 'src/pool/undo-creation.ts',
    edits: [{ find: 'await applyAll(apply, planUndoCreate(name, record.deviceId));', replace: '' }],
    scenarios: ['prepare-child'],
  },
  {
    name: 'no-reactivation',
    breaks: 'recovery does not activate the devices of active snapshots',
    file: 'src/pool/recovery.ts',
    edits: [{ find: 'await apply(planActivate(name, record, view.device));', replace: '' }],
    scenarios: ['recovery', 'remove-active'],
  },
  {
    name: 'stays-suspended',
    breaks: 'recovery does not resume what a dead daemon had suspended',
    file: 'src/pool/recovery.ts',
    edits: [{ find: 'if (info?.suspended !== true) return false;', replace: 'return false;' }],
    scenarios: ['commit-open'],
  },
  {
    name: 'growth-not-noted',
    breaks: 'a growth does not note which devices it is about to suspend',
    file: 'src/pool/provision-extend.ts',
    edits: [{ find: 'steps.flatMap((step) => changedDevice(name, step))', replace: '[]' }],
    scenarios: ['grow'],
  },
  {
    name: 'delete-before-mark',
    breaks: 'Remove deletes the device before the removal is durable',
    file: 'src/snapshotter/remove.ts',
    edits: [
      {
        find: 'await markRemoving(context, record);\n  } catch (error) {',
        replace:
          "await context.apply({ do: 'delete', id: record.deviceId }); await markRemoving(context, record);\n  } catch (error) {",
      },
    ],
    scenarios: ['remove-committed'],
  },
  {
    name: 'discard-before-mark',
    breaks: 'Remove discards the blocks before the removal is durable',
    file: 'src/snapshotter/remove.ts',
    edits: [
      {
        find: 'await markRemoving(context, record);\n  } catch (error) {',
        replace:
          'await applyAll(context.apply, planDiscard(context.pool.name, record, device)); await markRemoving(context, record);\n  } catch (error) {',
      },
    ],
    scenarios: ['remove-discard'],
  },
  {
    name: 'forget-before-delete',
    breaks: 'Cleanup forgets the record before it deletes the device',
    file: 'src/snapshotter/remove.ts',
    edits: [
      {
        find: 'await applyAll(apply, planDelete(record.deviceId));\n    await forget(context, id);',
        replace: 'await forget(context, id);\n    await applyAll(apply, planDelete(record.deviceId));',
      },
    ],
    scenarios: ['remove-async'],
  },
  {
    name: 'committed-stays-active',
    breaks: 'recovery leaves the devices of committed snapshots active',
    file: 'src/pool/recovery.ts',
    edits: [{ find: "await apply({ do: 'deactivate', name, deferred: true });", replace: '' }],
    scenarios: ['commit'],
  },
  {
    name: 'unfinished-base-stays',
    breaks: 'recovery leaves a base device that is not finished',
    file: 'src/pool/recovery.ts',
    edits: [
      {
        find: "if (base.state === 'ready' && base.key === wantedBaseKey) continue;",
        replace: "if (base.state !== 'ready' || base.key === wantedBaseKey) continue;",
      },
    ],
    scenarios: ['base'],
  },
  {
    name: 'half-made-stays',
    breaks: 'recovery takes a device without a table for the device of an active snapshot',
    file: 'src/pool/recovery.ts',
    edits: [{ find: 'if (info?.live !== true) {', replace: 'if (!present.has(name)) {' }],
    scenarios: ['prepare-child', 'prepare', 'view'],
  },
  {
    name: 'mount-stays',
    breaks: 'a start does not unmount what a dead daemon had mounted for a moment',
    file: 'src/daemon/daemon.ts',
    edits: [{ find: 'await releaseAllMounts(run, mounts)', replace: '[]' }],
    scenarios: ['base'],
  },
];

/** @throws when there is none of that name. */
export function findMutation(name: string): Mutation {
  const found = MUTATIONS.find((mutation) => mutation.name === name);
  if (found === undefined) throw new Error(`there is no mutation ${JSON.stringify(name)}`);
  return found;
}

/** @throws when an edit does not have exactly one place in `source`. */
export function applyEdits(source: string, { name, file, edits }: Mutation): string {
  return edits.reduce((text, { find, replace }) => {
    const places = text.split(find).length - 1;
    if (places !== 1) {
      throw new Error(`mutation ${name}: ${JSON.stringify(find)} is ${places} times in ${file}, not once`);
    }
    return text.replace(find, () => replace);
  }, source);
}

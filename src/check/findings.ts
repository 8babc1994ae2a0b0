/** The kinds of disagreement that `dmthin check` can find, each with what it means and what is done about it. */
import type { DeviceId } from '../base/units.ts';

/**
 * Who does the remedy. `recovery`: what every start of the daemon does; `repair`: `dmthin repair --apply` alone; `option`:
 * repair, when an option names the device; `hand`: a person.
 */
export type RemedyBy = 'recovery' | 'repair' | 'option' | 'hand';

interface KindOfFinding {
  readonly means: string;
  readonly by: RemedyBy;
  readonly remedy: string;
}

/** docs/operations.md prints this table; a test holds the two together. */
export const FINDINGS = {
  'pool-failed': {
    means: 'all I/O to the pool fails',
    by: 'hand',
    remedy: 'stop dmthin, deactivate the pool, thin_check and thin_repair its metadata, activate it again',
  },
  'pool-needs-check': {
    means: 'the kernel wants the metadata checked before it changes the pool again',
    by: 'hand',
    remedy: 'stop dmthin, deactivate the pool, thin_check and thin_repair its metadata, activate it again',
  },
  'pool-read-only': {
    means: 'the kernel changes nothing in the pool',
    by: 'hand',
    remedy: 'look for the reason in the kernel log (dmesg)',
  },
  'pool-suspended': {
    means: 'all I/O to the pool waits',
    by: 'hand',
    remedy: 'when nobody is at work on the pool: dmsetup resume POOL',
  },
  'metadata-snapshot-held': {
    means: 'the pool holds a snapshot of its metadata that somebody left',
    by: 'recovery',
    remedy: 'release it; only then can the devices of the pool be listed',
  },
  'leaked-device': {
    means: 'the pool has a device that no record names',
    by: 'option',
    remedy: '--delete-device ID deletes it, --keep-device ID notes it as not ours',
  },
  'missing-device': {
    means: 'the pool does not have the device of a snapshot or base: its contents are lost',
    by: 'repair',
    remedy: 'forget the record, unless it has children or the pool has none of our devices',
  },
  'device-inactive': {
    means: 'the device of an active snapshot is not there',
    by: 'recovery',
    remedy: 'activate it',
  },
  'device-half-made': {
    means: 'the device of an active snapshot has no table',
    by: 'recovery',
    remedy: 'make it anew',
  },
  'device-suspended': {
    means: 'a device of ours is suspended: whoever uses it waits',
    by: 'recovery',
    remedy: 'resume it',
  },
  'device-still-active': {
    means: 'the device of a committed snapshot or of a base is active, where somebody could write to it',
    by: 'recovery',
    remedy: 'deactivate it, when it is open at its last close',
  },
  'wrong-size': {
    means: 'a device has another size than its snapshot',
    by: 'repair',
    remedy: 'activate it anew, when it is closed',
  },
  'wrong-table': {
    means: 'a device leads to another pool, or to another device of the pool, than its name and record say',
    by: 'repair',
    remedy: 'activate it anew, when it is closed',
  },
  'name-taken': {
    means: 'a device that is not ours has the name of one of ours',
    by: 'hand',
    remedy: 'find out who made it (dmsetup info NAME), then dmsetup remove or rename it',
  },
  'stray-device': {
    means: 'a device of ours is active that nothing needs',
    by: 'recovery',
    remedy: 'deactivate it, when it is open at its last close',
  },
  'entry-missing': {
    means: 'a device is active, but /dev/mapper does not lead to it',
    by: 'recovery',
    remedy: 'make the entry',
  },
  'stray-entry': {
    means: '/dev/mapper has an entry of ours without a device',
    by: 'recovery',
    remedy: 'remove the entry',
  },
  'stray-mount': {
    means: 'a filesystem is mounted that dmthin mounted for a moment',
    by: 'repair',
    remedy: 'unmount it (each start does so too)',
  },
  'creation-unfinished': {
    means: 'a snapshot or base was being made when something stopped it, and nobody was told of it',
    by: 'recovery',
    remedy: 'undo it',
  },
  'removal-unfinished': {
    means: 'a snapshot is gone for every caller, but its device is not deleted yet, and no daemon is at work',
    by: 'recovery',
    remedy: 'finish the removal',
  },
} as const satisfies Record<string, KindOfFinding>;

export type FindingKind = keyof typeof FINDINGS;

export interface Finding {
  readonly kind: FindingKind;
  /** This one case in a sentence. */
  readonly what: string;
  /** Key or name of the snapshot, where it is about one. */
  readonly key?: string | undefined;
  readonly deviceId?: DeviceId | undefined;
  /** Name of the device, entry or mount point. */
  readonly device?: string | undefined;
}

export function isFindingKind(text: string): text is FindingKind {
  return Object.hasOwn(FINDINGS, text);
}

/** Equal for two findings about the same thing, however they word it. */
export function identity({ kind, key, deviceId, device }: Finding): string {
  return JSON.stringify([kind, key, deviceId, device]);
}

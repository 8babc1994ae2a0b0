/**
 * Watches the room in a pool: grows what lies on our loop files, and tells the operator, and a command of theirs, of all
 * that it cannot grow.
 *
 * INVARIANTS
 * - A growth that failed is not tried again until the pool has changed: its size, or its mode.
 * - Nothing is grown past what the filesystem below can hold: a pool that is full waits, but one whose file cannot be
 *   written has I/O errors.
 * - The operator's command runs once for each level that the free space falls below, and one at a time.
 */
import { dirname } from 'node:path';
import { hasCode, toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Bytes, type DmName, formatSize, type Sectors } from '../base/units.ts';
import { type HealthyPoolStatus, parsePoolStatus } from '../dm/status.ts';
import { type Backing, readBacking } from './provision-backing.ts';
import { extendPool } from './provision-extend.ts';
import { describeExtendStep } from './provision-extend-plan.ts';
import { readLivePool } from './provision-facts.ts';
import { isLvmPool } from './provision-lvm.ts';
import { type ChangeDeps, type Role, ROLES } from './provision-request.ts';
import { freePercentOf, lowLevel, nextSize } from './space.ts';

/** What the operator's command is told. */
export interface LowSpace {
  readonly pool: DmName;
  readonly role: Role;
  readonly freePercent: number;
  readonly dataDevice: string;
  readonly metadataDevice: string;
  readonly poolStatus: string;
}

export interface SpaceKeeperOptions extends ChangeDeps {
  readonly name: DmName;
  /** How large the data of a pool on loop files may grow by itself; undefined: it does not. */
  readonly maxDataBytes: Bytes | undefined;
  /** Runs the operator's command; resolves when it has ended, however it did. Never throws. */
  readonly runCommand: ((low: LowSpace) => Promise<void>) | undefined;
  readonly log: Log;
}

export interface SpaceKeeper {
  /** Looks at the pool now and does what is needed. Never throws. One that is asked meanwhile waits for its turn. */
  check(): Promise<void>;
}

/** What the pool stands on. */
interface Place {
  readonly backing: Readonly<Record<Role, Backing>>;
  readonly blockSectors: Sectors;
}

export function createSpaceKeeper(options: SpaceKeeperOptions): SpaceKeeper {
  const { name, dm, devices, log } = options;
  /** What was told already: the level of each role. */
  const toldLevels: Record<Role, number> = { data: 0, metadata: 0 };
  /** The pool's state when its growth failed. */
  let failedAt: string | undefined;
  let turn: Promise<void> = Promise.resolve();
  let commands: Promise<void> = Promise.resolve();

  /** The command takes its time, and the watch goes on meanwhile. */
  function runCommand(low: LowSpace): void {
    commands = commands.then(() => options.runCommand?.(low));
  }

  async function look(): Promise<void> {
    const status = parsePoolStatus(name, await dm.status(name));
    // What is broken is the gate's to tell.
    if (status.kind !== 'ok' || status.needsCheck) return;
    const low = ROLES.filter((role) => lowLevel(status, role) > 0);
    const grown = low.length === 0 ? [] : await grow(low, status);
    for (const role of ROLES) {
      if (!low.includes(role) || grown.includes(role)) toldLevels[role] = 0;
      else await tell(role, status, lowLevel(status, role));
    }
  }

  /** Both at once, because each time all I/O on the pool stops for a moment. @returns those that have grown. */
  async function grow(roles: readonly Role[], status: HealthyPoolStatus): Promise<readonly Role[]> {
    const state = `${status.totalDataBlocks} ${status.totalMetadataBlocks} ${status.mode}`;
    const place = await readPlace();
    if (failedAt === state || place === undefined) return [];
    const sizes: Record<Role, Bytes | undefined> = { data: undefined, metadata: undefined };
    for (const role of roles) sizes[role] = await roomFor(role, status, place);
    const growing = roles.filter((role) => sizes[role] !== undefined);
    if (growing.length === 0) return [];
    try {
      const steps = await extendPool({ name, bytes: sizes }, options);
      log.info(
        { pool: name, steps: steps.map((step) => describeExtendStep(step, name)) },
        `the pool was low on ${growing.join(' and ')} space and has grown`,
      );
      failedAt = undefined;
      return growing;
    } catch (error) {
      // Somebody else is growing it: the next look shows what came of it.
      if (hasCode(error, 'locked')) return growing;
      failedAt = state;
      log.error({ pool: name, error: toDmthinError(error, 'grow the pool') }, 'the pool could not grow');
      return [];
    }
  }

  /** @returns the size to grow to; undefined when it is not ours to grow, at its limit, or the filesystem below is. */
  async function roomFor(role: Role, status: HealthyPoolStatus, place: Place): Promise<Bytes | undefined> {
    const { ours, file } = place.backing[role];
    if (!ours || file === undefined) return undefined;
    const size = nextSize(role, status, place.blockSectors, options.maxDataBytes);
    return size !== undefined && (await fits(file, size)) ? size : undefined;
  }

  async function readPlace(): Promise<Place | undefined> {
    const live = await readLivePool(dm, name);
    if (live.kind !== 'pool') return undefined;
    return { backing: await readBacking(name, live.table, devices), blockSectors: live.table.blockSectors };
  }

  /** All that the file may come to take must be free, not only what it grows by. */
  async function fits(file: string, sizeBytes: Bytes): Promise<boolean> {
    const [free, facts] = await Promise.all([devices.freeBytes(dirname(file)), devices.describe(file)]);
    return sizeBytes - (facts?.allocatedBytes ?? 0) <= free;
  }

  async function tell(role: Role, status: HealthyPoolStatus, level: number): Promise<void> {
    if (level <= toldLevels[role]) {
      toldLevels[role] = level;
      return;
    }
    toldLevels[role] = level;
    const found = await readPlace();
    if (found === undefined) return;
    const free = freePercentOf(status, role);
    log.warn(
      { pool: name, status: status.raw, nextStep: await adviseOn(role, found.backing[role]) },
      `only ${free.toFixed(1)}% of the pool's ${role} space is free`,
    );
    runCommand({
      pool: name,
      role,
      freePercent: free,
      dataDevice: found.backing.data.device,
      metadataDevice: found.backing.metadata.device,
      poolStatus: status.raw,
    });
  }

  async function adviseOn(role: Role, { ours, file, device }: Backing): Promise<string> {
    const orRemove = 'or remove images and containers';
    if (await isLvmPool(dm, name)) {
      return `lvextend ${role === 'data' ? '--size' : '--poolmetadatasize'} +SIZE VG/POOL, ${orRemove}`;
    }
    if (!ours || file === undefined) return `grow ${device}, then dmthin pool extend ${name}; ${orRemove}`;
    const free = formatSize(await devices.freeBytes(dirname(file)));
    const option = role === 'data' ? '--data-size' : '--metadata-size';
    return `dmthin pool extend ${name} ${option} SIZE (${free} are free below ${file}), ${orRemove}`;
  }

  return {
    check() {
      turn = turn.then(look).catch((error: unknown) => {
        if (hasCode(error, 'not_found')) return;
        log.warn(
          { pool: name, error: toDmthinError(error, 'look at the pool') },
          'cannot see how much room the pool has',
        );
      });
      return turn;
    },
  };
}

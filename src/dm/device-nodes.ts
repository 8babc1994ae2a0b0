/**
 * The /dev/mapper/NAME entries.
 *
 * devtmpfs makes /dev/dm-N when the device appears. The link /dev/mapper/NAME -> ../dm-N is udev's work, but udev may be
 * absent, lack device-mapper's rules, or be late. So we make the link at once: udev leaves a link alone that already is
 * as it wants it.
 *
 * When a device goes, its link goes with it. If udev has claimed the link, we let udev take it away, for a bounded time:
 * its late removal must not hit the link of a next device of the same name.
 */
import { randomUUID } from 'node:crypto';
import { access, lstat, readFile, readlink, rename, symlink, unlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DmthinError } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import type { DmInfo } from './client.ts';

type DeviceNumbers = Pick<DmInfo, 'name' | 'major' | 'minor'>;

/** Takes the link away after its device went, or was told to go at its last close. */
export type ForgetLink = (outcome: 'removed' | 'deferred') => Promise<void>;

export interface DeviceNodes {
  /** Whether udevd runs, and so sees what happens to devices. */
  udevRuns(): Promise<boolean>;
  /**
   * Makes /dev/mapper/NAME lead to the device, replacing whatever else is there.
   * @throws unsupported when /dev has no node of the device itself.
   */
  ensure(device: DeviceNumbers): Promise<void>;
  /** Called before a removal: afterwards the kernel no longer knows what is needed. */
  beforeRemoval(lookUp: () => Promise<DeviceNumbers | undefined>, name: DmName): Promise<ForgetLink>;
}

export interface NodePaths {
  /** Default /dev. */
  readonly dev?: string;
  /** udev's run-time directory; default /run/udev. */
  readonly udev?: string;
}

const UDEV_PATIENCE_MS = 1000;

export function createDeviceNodes({ dev = '/dev', udev = '/run/udev' }: NodePaths = {}): DeviceNodes {
  const pathOf = (name: DmName): string => `${dev}/mapper/${name}`;
  const udevRuns = (): Promise<boolean> => exists(`${udev}/control`);

  /** udev's record of a device has a line `S:` for each link that it made for it. */
  const claimedByUdev = async ({ name, major, minor }: DeviceNumbers): Promise<boolean> => {
    const record = await unlessMissing(readFile(`${udev}/data/b${major}:${minor}`, 'utf8'));
    return record?.split('\n').includes(`S:mapper/${name}`) ?? false;
  };

  return {
    udevRuns,
    async ensure({ name, minor }) {
      if (!(await exists(`${dev}/dm-${minor}`))) {
        throw new DmthinError('unsupported', {
          op: 'make device node',
          device: name,
          what: `there is no ${dev}/dm-${minor}`,
          nextStep: 'run with the /dev of the host, a devtmpfs: a container must mount it from there',
        });
      }
      await link(`../dm-${minor}`, pathOf(name));
    },
    async beforeRemoval(lookUp, name) {
      const device = (await udevRuns()) ? await lookUp() : undefined;
      const claimed = device !== undefined && (await claimedByUdev(device));
      return async (outcome) => {
        if (claimed && outcome === 'deferred') return;
        if (claimed) await goneWithin(pathOf(name), UDEV_PATIENCE_MS);
        await unlessMissing(unlink(pathOf(name)));
      };
    },
  };
}

/** Atomic, also when something else has the name already. */
async function link(target: string, path: string): Promise<void> {
  try {
    await symlink(target, path);
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error;
    // EINVAL: not a symbolic link, so somebody's node.
    const found = await unless(readlink(path), 'ENOENT', 'EINVAL');
    if (found === target) return;
    const temporary = `${path}.${randomUUID()}`;
    await symlink(target, temporary);
    await rename(temporary, path);
  }
}

async function goneWithin(path: string, patienceMs: number): Promise<void> {
  const endsAt = performance.now() + patienceMs;
  for (let pauseMs = 1; performance.now() < endsAt; pauseMs *= 2) {
    if ((await unlessMissing(lstat(path))) === undefined) return;
    await sleep(Math.min(pauseMs, Math.max(1, endsAt - performance.now())));
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function unlessMissing<T>(action: Promise<T>): Promise<T | undefined> {
  return unless(action, 'ENOENT');
}

async function unless<T>(action: Promise<T>, ...errnos: readonly string[]): Promise<T | undefined> {
  try {
    return await action;
  } catch (error) {
    if (hasErrno(error, ...errnos)) return undefined;
    throw error;
  }
}

function hasErrno(error: unknown, ...errnos: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && errnos.some((errno) => errno === error.code);
}

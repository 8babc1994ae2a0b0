/**
 * The /dev/mapper/NAME entries.
 *
 * devtmpfs makes /dev/dm-N together with the device. The link /dev/mapper/NAME -> ../dm-N is usually udev's work, but udev
 * may be absent, lack device-mapper's rules, or be late: when dm-7 is removed and made again under another name before
 * udev has seen that, it takes away the new device's link together with the old one's. So the links of our devices are
 * ours alone: we make one at once and take it away at once, and udev is told to leave them (UDEV_FLAGS).
 *
 * Synchronous: /dev is memory, where a call takes microseconds, and a hop to another thread many times that.
 */
import { randomUUID } from 'node:crypto';
import { constants, existsSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { DmthinError, errnoOf } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import type { DmInfo } from './client.ts';

const { S_IFMT, S_IFBLK } = constants;

export interface DeviceNodes {
  /** Whether udevd runs, and so sees what happens to devices. */
  udevRuns(): boolean;
  /**
   * Makes /dev/mapper/NAME lead to the device, replacing whatever else is there. A device that goes at its last close
   * gets no link: nobody should open it any more, and nobody would take the link away.
   * @throws unsupported when /dev has no node of the device itself.
   */
  ensure(device: Pick<DmInfo, 'name' | 'minor' | 'deferredRemove'>): void;
  /** Takes the entry of a device away that is gone, or will be at its last close. */
  forget(name: DmName): void;
  /** The entries whose names begin with `prefix`. */
  entries(prefix: string): Promise<NodeEntry[]>;
}

export interface NodeEntry {
  readonly name: string;
  /** `major:minor` of the device behind the entry; undefined when there is none, or it is no block device. */
  readonly leadsTo: string | undefined;
}

export interface NodePaths {
  /** Default /dev. */
  readonly dev?: string;
  /** udev's run-time directory; default /run/udev. */
  readonly udev?: string;
}

export function createDeviceNodes({ dev = '/dev', udev = '/run/udev' }: NodePaths = {}): DeviceNodes {
  const pathOf = (name: DmName): string => `${dev}/mapper/${name}`;
  return {
    udevRuns: () => existsSync(`${udev}/control`),
    ensure({ name, minor, deferredRemove }) {
      if (deferredRemove) return;
      if (!existsSync(`${dev}/dm-${minor}`)) {
        throw new DmthinError('unsupported', {
          op: 'make device node',
          device: name,
          what: `there is no ${dev}/dm-${minor}`,
          nextStep: 'run with the /dev of the host, a devtmpfs: a container must mount it from there',
        });
      }
      link(`../dm-${minor}`, pathOf(name));
    },
    forget(name) {
      unless(() => unlinkSync(pathOf(name)), 'ENOENT');
    },
    async entries(prefix) {
      const names = (await readdir(`${dev}/mapper`)).filter((name) => name.startsWith(prefix));
      const found: NodeEntry[] = [];
      // One after another: this is for looking, and must not crowd out the calls that are served.
      for (const name of names) found.push({ name, leadsTo: await deviceBehind(`${dev}/mapper/${name}`) });
      return found;
    },
  };
}

async function deviceBehind(path: string): Promise<string | undefined> {
  try {
    const { rdev, mode } = await stat(path);
    return (mode & S_IFMT) === S_IFBLK ? formatDevice(rdev) : undefined;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** As stat(2) packs it: glibc's gnu_dev_major and gnu_dev_minor, for majors of 12 bits and minors of 20. */
function formatDevice(rdev: number): string {
  return `${(rdev >>> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`;
}

/** Atomic, also when something else has the name already. */
function link(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error;
    // EINVAL: not a symbolic link, so somebody's node.
    const found = unless(() => readlinkSync(path), 'ENOENT', 'EINVAL');
    if (found === target) return;
    const temporary = `${path}.${randomUUID()}`;
    symlinkSync(target, temporary);
    renameSync(temporary, path);
  }
}

function unless<T>(action: () => T, ...errnos: readonly string[]): T | undefined {
  try {
    return action();
  } catch (error) {
    if (hasErrno(error, ...errnos)) return undefined;
    throw error;
  }
}

function hasErrno(error: unknown, ...errnos: readonly string[]): boolean {
  return errnos.includes(errnoOf(error) ?? '');
}

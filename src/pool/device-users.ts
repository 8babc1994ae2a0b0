/** Which mounts and processes keep a block device open, for a refusal to name. What /proc tells; nothing is changed. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { parseMountinfo } from '../base/mountinfo.ts';

export interface BlockDevice {
  readonly major: number;
  readonly minor: number;
}

/** In words, such as `mounted on /mnt`; empty when none can be seen, as with mounts of another mount namespace. */
export type FindDeviceUsers = (device: BlockDevice) => Promise<string[]>;

/** @param proc where proc is mounted. */
export function createFindDeviceUsers(proc = '/proc'): FindDeviceUsers {
  return async ({ major, minor }) => {
    const [mounts, processes] = await Promise.all([
      mountPoints(`${proc}/self/mountinfo`, `${major}:${minor}`),
      processesWith(proc, `/dev/dm-${minor}`),
    ]);
    return [...mounts.map((path) => `mounted on ${path}`), ...processes.map((id) => `open in process ${id}`)];
  };
}

async function mountPoints(mountinfo: string, number: string): Promise<string[]> {
  return parseMountinfo(await readFile(mountinfo, 'utf8'))
    .filter(({ device }) => device === number)
    .map(({ directory }) => directory);
}

async function processesWith(proc: string, node: string): Promise<string[]> {
  const ids = (await readdir(proc)).filter((name) => /^\d+$/.test(name));
  const found: string[] = [];
  for (const id of ids) {
    // Processes end while one looks.
    const files = await readdir(`${proc}/${id}/fd`).catch(() => []);
    for (const file of files) {
      if ((await readlink(`${proc}/${id}/fd/${file}`).catch(() => '')) !== node) continue;
      found.push(id);
      break;
    }
  }
  return found;
}

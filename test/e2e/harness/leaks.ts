/** What is left on the machine when a test is over. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { run } from './run.ts';

/** One line for each device-mapper device, loop device, mount and program, so that two readings can be compared. */
export async function readResources(): Promise<Set<string>> {
  const [devices, loops, mounts] = await Promise.all([
    run(['dmsetup', 'ls']),
    run(['losetup', '--list', '--noheadings', '--output', 'NAME,BACK-FILE']),
    readFile('/proc/self/mounts', 'utf8'),
  ]);
  // Only now: the dmsetup that was just asked would be found among the programs.
  const programs = await listPrograms();
  const lines = (title: string, text: string) =>
    text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [`${title} ${line.trim()}`]));
  return new Set([
    ...(devices.startsWith('No devices') ? [] : lines('dm device', devices)),
    ...lines('loop device', loops),
    ...lines('mount', mounts),
    ...programs,
  ]);
}

/** What `after` has and `before` had not. */
export function leaked(before: ReadonlySet<string>, after: ReadonlySet<string>): string[] {
  return [...after].filter((line) => !before.has(line));
}

/** Programs of the kinds that tests start: anything else on the machine is not ours to judge. */
const STARTED = /^(containerd|containerd-shim.*|docker-registry|ctr|runc|dmsetup|node)$/;

async function listPrograms(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const program = await readlink(`/proc/${pid}/exe`).then(basename, () => '');
      return STARTED.test(program) ? [`process ${pid} ${program}`] : [];
    }),
  );
  return found.flat();
}

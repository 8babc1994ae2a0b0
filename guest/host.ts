/** `--host`: the same command right on this machine. Nothing protects its disks and devices. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { DmthinError } from '../src/base/errors.ts';
import { endGroup, type GuestEnd, limit } from './machine.ts';
import type { GuestOptions } from './options.ts';
import type { Scratch } from './scratch.ts';

/**
 * Runs the command in the checkout with DMTHIN_SCRATCH and DMTHIN_DISK as in a guest, both directories of `scratch`.
 * @throws unsupported when this machine's kernel has no device-mapper, or extra disks are asked for.
 */
export async function runOnHost(
  options: GuestOptions,
  scratch: Scratch,
  around: { readonly env: Readonly<Record<string, string | undefined>>; readonly signal: AbortSignal },
): Promise<GuestEnd> {
  const op = '--host';
  if (!/^ *\d+ device-mapper$/m.test(await readFile('/proc/misc', 'utf8'))) {
    const nextStep = 'load dm_mod and dm_thin_pool, or leave --host out';
    throw new DmthinError('unsupported', { op, what: 'this machine has no device-mapper', nextStep });
  }
  if (options.disks.length > 0) {
    throw new DmthinError('unsupported', { op, what: 'DMTHIN_GUEST_DISKS makes disks for a guest only' });
  }
  const disk = join(scratch.path, 'disk');
  await mkdir(disk);
  const checkout = dirname(import.meta.dirname);
  const [program, ...args] = options.command;
  const child = spawn(program, args, {
    cwd: checkout,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...around.env,
      PATH: `${checkout}/node_modules/.bin:${around.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
      DMTHIN_SCRATCH: scratch.files,
      DMTHIN_DISK: disk,
    },
  });
  using limited = limit(around.signal, options.timeoutMs, () => endGroup(child));
  const [code, death] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  const exitCode = code ?? 128 + (death === null ? 0 : constants.signals[death]);
  return limited.reached() ?? { kind: 'exited', exitCode };
}

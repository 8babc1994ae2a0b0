/** A udevd for the length of some tests: what else runs in the guest is to find a machine without one again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChecked, runProcess } from '../../src/base/process.ts';

const PROGRAM = '/lib/systemd/systemd-udevd';
const CONTROL = '/run/udev/control';
const RULES = '/run/udev/rules.d';
const OUR_RULE = '09-dmthin.rules';
/** The guest sets it, and it would keep libdm from speaking to udev. */
const KEEPS_LIBDM_SILENT = 'DM_DISABLE_UDEV';

/** Why there can be no udevd here; false when there can. */
export const noUdevd = existsSync(PROGRAM) ? false : 'this machine has no systemd-udevd';

export interface Udevd extends AsyncDisposable {
  /** Waits until it has dealt with every event. */
  settle(): Promise<void>;
}

/** @param ourRule installs packaging/udev beside the distribution's rules. */
export async function startUdevd({ ourRule }: { readonly ourRule: boolean }): Promise<Udevd> {
  const silence = process.env[KEEPS_LIBDM_SILENT];
  Reflect.deleteProperty(process.env, KEEPS_LIBDM_SILENT);
  await mkdir(RULES, { recursive: true });
  if (ourRule) {
    await copyFile(join(import.meta.dirname, '../../packaging/udev', OUR_RULE), join(RULES, OUR_RULE));
  }
  const child: ChildProcess = spawn(PROGRAM, [], { stdio: 'ignore' });
  while (!existsSync(CONTROL)) await sleep(20);
  return {
    async settle() {
      await runChecked(runProcess, 'udevadm', ['settle', '--timeout=120'], { timeoutMs: 150_000 });
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await rm(CONTROL, { force: true });
      await rm(join(RULES, OUR_RULE), { force: true });
      if (silence !== undefined) process.env[KEEPS_LIBDM_SILENT] = silence;
    },
  };
}

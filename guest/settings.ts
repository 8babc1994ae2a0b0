/** The shell text that guest/init.sh reads: where things are and what to run. Pure. */
import type { ExtraDisk } from './options.ts';

/** Where the guest sees its writable scratch directory, kept on the host. */
export const GUEST_SCRATCH = '/mnt/scratch';
/** Where the guest sees its ext4 disk. */
export const GUEST_DISK = '/mnt/disk';

/** Variables of the host that mean the same in the guest. Every DMTHIN_* passes too. */
const PASSED = ['CI', 'NO_COLOR', 'FORCE_COLOR', 'NODE_OPTIONS', 'TZ', 'UV_THREADPOOL_SIZE'];

export interface GuestSettings {
  /** Absolute, without symbolic links; the command's working directory. */
  readonly checkout: string;
  /** Host directory that becomes GUEST_SCRATCH. */
  readonly hostFiles: string;
  /** Kernel modules as absolute paths, in the order of loading. */
  readonly modules: readonly string[];
  readonly command: readonly string[];
  readonly disks: readonly ExtraDisk[];
  readonly keep: boolean;
}

/** One word for a POSIX shell, whatever it holds. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The assignments that guest/init.sh sources. */
export function renderSettings(
  settings: GuestSettings,
  hostEnv: Readonly<Record<string, string | undefined>>,
): string {
  const assignments = {
    CHECKOUT: settings.checkout,
    HOST_FILES: settings.hostFiles,
    MODULES: settings.modules.join(' '),
    KEEP: settings.keep ? '1' : '',
    COMMAND: renderCommand(settings, hostEnv),
  };
  return Object.entries(assignments)
    .map(([name, value]) => `${name}=${quote(value)}\n`)
    .join('');
}

// By its full path: busybox would prefer its own env, and that its own mount, df... to the system's.
function renderCommand(
  settings: GuestSettings,
  hostEnv: Readonly<Record<string, string | undefined>>,
): string {
  const env = guestEnvironment(settings, hostEnv);
  const words = Object.entries(env).map(([name, value]) => quote(`${name}=${value}`));
  return `cd ${quote(settings.checkout)} && exec /usr/bin/env -i ${words.join(' ')} ${settings.command.map(quote).join(' ')}\n`;
}

/** The command's whole environment. */
export function guestEnvironment(
  settings: Pick<GuestSettings, 'checkout' | 'disks'>,
  hostEnv: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  // What bin/dmthin starts with: a daemon inside a test is to have the threads of a real one.
  const env: Record<string, string> = { UV_THREADPOOL_SIZE: '16' };
  for (const [name, value] of Object.entries(hostEnv)) {
    if (value !== undefined && (name.startsWith('DMTHIN_') || PASSED.includes(name))) env[name] = value;
  }
  for (const [index, disk] of settings.disks.entries()) {
    env[`DMTHIN_DISK_${disk.name.toUpperCase()}`] = extraDiskDevice(index);
  }
  return {
    ...env,
    PATH: `${settings.checkout}/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: '/tmp/home',
    USER: 'root',
    TMPDIR: '/tmp',
    LANG: 'C.UTF-8',
    // No udevd runs here: without this, dmsetup would wait for its answer for ever.
    DM_DISABLE_UDEV: '1',
    DMTHIN_GUEST: '1',
    DMTHIN_SCRATCH: GUEST_SCRATCH,
    DMTHIN_DISK: GUEST_DISK,
  };
}

/** Device of the `index`th extra disk; the first letter belongs to the disk at GUEST_DISK. */
export function extraDiskDevice(index: number): string {
  return `/dev/ubd${String.fromCharCode('b'.charCodeAt(0) + index)}`;
}

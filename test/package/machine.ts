/** A second machine inside this one: this one's files with changes of its own, and real systemd as its first process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProcess, type ProcessResult } from '../../src/base/process.ts';
import { run } from '../e2e/harness/run.ts';
import { waitFor } from '../e2e/harness/wait.ts';

export interface BootableMachine extends AsyncDisposable {
  /** Its root directory, seen from here. */
  readonly root: string;
  /** A path of the running machine, seen from here. */
  path(inside: string): string;
  /** Runs a program in it, whatever its exit code. */
  try(...argv: [string, ...string[]]): Promise<ProcessResult>;
  /** Standard output. @throws with the program's words when it fails. */
  run(...argv: [string, ...string[]]): Promise<string>;
  /** Starts systemd with a target that wants `units` and waits until it is reached. */
  boot(units: readonly string[]): Promise<void>;
}

const TARGET = 'package-test.target';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const LIMIT = { timeoutMs: 120_000 } as const;

export async function createMachine(): Promise<BootableMachine> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'machine-'));
  stack.defer(() => rm(directory, { recursive: true }));
  const root = join(directory, 'root');
  for (const name of ['root', 'upper', 'work']) await mkdir(join(directory, name));
  await run([
    ...(['mount', '-t', 'overlay', 'overlay', '-o'] as const),
    `lowerdir=/,upperdir=${directory}/upper,workdir=${directory}/work`,
    root,
  ]);
  stack.defer(async () => {
    await run(['umount', '--recursive', root]);
  });
  for (const [type, at] of [
    ['proc', 'proc'],
    ['sysfs', 'sys'],
    ['tmpfs', 'run'],
    ['tmpfs', 'tmp'],
    ['tmpfs', 'var/tmp'],
  ] as const)
    await run(['mount', '-t', type, type, join(root, at)]);
  await run(['mount', '--rbind', '/dev', join(root, 'dev')]);
  await run(['mount', '--make-rprivate', join(root, 'dev')]);
  // A container image's way to keep packages from starting services.
  await rm(join(root, 'usr/sbin/policy-rc.d'), { force: true });

  let systemd: ChildProcess | undefined;
  let pid: string | undefined;
  stack.defer(async () => {
    if (systemd === undefined || pid === undefined) return;
    const ended = once(systemd, 'exit');
    // The first process of its namespace: all others in there die with it.
    process.kill(Number(pid), 'SIGKILL');
    await ended;
  });

  const enter = (): string[] =>
    pid === undefined ? [] : ['nsenter', '-t', pid, '-m', '-p', '-u', '-i', '-C'];

  function tryInside(...argv: [string, ...string[]]): Promise<ProcessResult> {
    const [file = '', ...args] = [...enter(), 'chroot', root, ...argv];
    return runProcess(file, args, { ...LIMIT, env: { PATH, SYSTEMD_PAGER: '' } });
  }

  async function runInside(...argv: [string, ...string[]]): Promise<string> {
    const { exitCode, stdout, stderr } = await tryInside(...argv);
    if (exitCode !== 0) throw new Error(`${argv.join(' ')}: ${exitCode ?? 'a signal'}: ${stdout}${stderr}`);
    return stdout;
  }

  async function boot(units: readonly string[]): Promise<void> {
    await writeFile(
      join(root, 'etc/systemd/system', TARGET),
      `[Unit]\nRequires=basic.target\nAfter=basic.target ${units.join(' ')}\nWants=${units.join(' ')}\n`,
    );
    // As on a machine of its own: systemd leaves the propagation of mounts in a container to whoever made it.
    const script = `mount --make-rshared "$0" && mount -t proc proc "$0/proc" && mount -t cgroup2 cgroup2 "$0/sys/fs/cgroup" &&
      exec chroot "$0" env -i container=test PATH=${PATH} /lib/systemd/systemd --unit=${TARGET} --log-target=journal`;
    const namespaces = ['--pid', '--fork', '--uts', '--ipc', '--cgroup', '--mount'];
    systemd = spawn('unshare', [...namespaces, 'sh', '-c', script, root], { stdio: 'ignore' });
    const shell = systemd.pid ?? 0;
    pid = await waitFor('systemd has a process', 20_000, () => childOf(shell));
    await waitFor(`${TARGET} is reached`, 60_000, async () => {
      const { stdout } = await tryInside('systemctl', 'is-active', TARGET);
      return stdout.trim() === 'active';
    });
  }

  const owned = stack.move();
  return {
    root,
    path: (inside) => `/proc/${pid ?? 'self'}/root${pid === undefined ? join(root, inside) : inside}`,
    try: tryInside,
    run: runInside,
    boot,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function childOf(pid: number): Promise<string | undefined> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(async () => {
    const { stdout } = await runProcess('pgrep', ['-P', String(pid)]);
    return stdout;
  });
  return children.trim().split(/\s+/)[0] || undefined;
}

/** Lays out the file system of the package in a directory. */
import { chmod, cp, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { renderBashCompletion } from '../../src/cli/completion.ts';
import { commandFacts } from '../../src/cli/command-facts.ts';
import { renderManPage } from '../../src/cli/man-page.ts';
import { processDeps } from '../../src/cli/process-deps.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { defaultConfigText } from '../../src/daemon/read-config-keys.ts';
import { isNeeded } from './contents.ts';
import { type Architecture, ARCHITECTURES } from './control.ts';

export interface StageOptions {
  readonly checkout: string;
  readonly root: string;
  readonly architecture: Architecture;
  readonly version: string;
  /** Of the man page, year-month-day. */
  readonly date: string;
}

const PROGRAM = 'usr/lib/dmthin';
const NPM_TIMEOUT_MS = 10 * 60_000;

/** What is copied as it is, from the checkout into the package. */
const COPIES: readonly (readonly [from: string, to: string])[] = [
  ['bin/dmthin', `${PROGRAM}/bin/dmthin`],
  ['src', `${PROGRAM}/src`],
  ['package.json', `${PROGRAM}/package.json`],
  ['packaging/systemd/dmthin.service', 'usr/lib/systemd/system/dmthin.service'],
  ['packaging/systemd/dmthin.socket', 'usr/lib/systemd/system/dmthin.socket'],
  ['packaging/udev/09-dmthin.rules', 'usr/lib/udev/rules.d/09-dmthin.rules'],
  ['packaging/modules-load.d/dmthin.conf', 'usr/lib/modules-load.d/dmthin.conf'],
  ['README.md', 'usr/share/doc/dmthin/README.md'],
  ['docs', 'usr/share/doc/dmthin/docs'],
  ['LICENSE', 'usr/share/doc/dmthin/copyright'],
];

export async function stage(options: StageOptions): Promise<void> {
  const { checkout, root } = options;
  for (const [from, to] of COPIES) {
    await mkdir(dirname(join(root, to)), { recursive: true });
    await cp(join(checkout, from), join(root, to), { recursive: true });
  }
  await stageDependencies(options);
  await stageWritten(options);
  await mkdir(join(root, 'usr/bin'), { recursive: true });
  await symlink('../lib/dmthin/bin/dmthin', join(root, 'usr/bin/dmthin'));
  await setModes(root);
}

/** npm installs what the lock file says for the other machine as for this one; nothing of it is run. */
async function stageDependencies({ checkout, root, architecture }: StageOptions): Promise<void> {
  const directory = join(root, PROGRAM);
  for (const file of ['package-lock.json', '.npmrc']) await cp(join(checkout, file), join(directory, file));
  const machine = [`--cpu=${ARCHITECTURES[architecture]}`, '--os=linux', '--libc=glibc'];
  await runChecked(
    runProcess,
    'npm',
    ['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--prefix', directory, ...machine],
    { timeoutMs: NPM_TIMEOUT_MS },
  );
  for (const file of ['package-lock.json', '.npmrc']) await rm(join(directory, file));
  for (const path of await filesBelow(join(directory, 'node_modules'))) {
    if (!isNeeded(relative(directory, path))) await rm(path);
  }
  await removeEmptyDirectories(directory);
}

async function stageWritten({ root, version, date }: StageOptions): Promise<void> {
  const facts = commandFacts(buildProgram(processDeps()));
  const files: Readonly<Record<string, string | Buffer>> = {
    'etc/dmthin/config.toml': defaultConfigText(),
    'usr/share/bash-completion/completions/dmthin': renderBashCompletion(facts),
    // Level 9 without name and time, as Policy 12.1 has it.
    'usr/share/man/man8/dmthin.8.gz': gzipSync(renderManPage(facts, { version, date }), { level: 9 }),
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

/** Independent of the umask and of the checkout's own modes. */
async function setModes(root: string): Promise<void> {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) {
      const isProgram = ((await lstat(path)).mode & 0o100) !== 0 && (await startsAsProgram(path));
      await chmod(path, isProgram ? 0o755 : 0o644);
    }
  }
  await chmod(root, 0o755);
}

async function startsAsProgram(path: string): Promise<boolean> {
  const head = (await readFile(path)).toString('latin1', 0, 4);
  return head.startsWith('#!') || head === '\x7fELF';
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
}

async function removeEmptyDirectories(directory: string): Promise<boolean> {
  let isEmpty = true;
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (!entry.isDirectory() || !(await removeEmptyDirectories(path))) isEmpty = false;
  }
  if (isEmpty) await rm(directory, { recursive: true });
  return isEmpty;
}

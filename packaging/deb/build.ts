/** Builds dmthin_VERSION_ARCHITECTURE.deb with dpkg-deb. */
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { type Architecture, renderControl } from './control.ts';
import { stage } from './stage.ts';

export interface BuildOptions {
  readonly checkout: string;
  readonly architecture: Architecture;
  readonly outDirectory: string;
  /** Larger and much sooner done: for tests. */
  readonly quick: boolean;
}

const SCRIPTS = ['postinst', 'prerm', 'postrm'];
const CONFFILES = ['/etc/dmthin/config.toml'];
const DPKG_TIMEOUT_MS = 10 * 60_000;

/** @returns the package's path. The same checkout gives the same bytes: times are the last commit's. */
export async function buildPackage(options: BuildOptions): Promise<string> {
  const { checkout, architecture, outDirectory, quick } = options;
  const version = await readVersion(checkout);
  const builtAt = Number(process.env['SOURCE_DATE_EPOCH'] ?? (await commitTime(checkout)));
  const root = await mkdtemp(join(tmpdir(), 'dmthin-deb-'));
  try {
    const date = new Date(builtAt * 1000).toISOString().slice(0, 10);
    await stage({ checkout, root, architecture, version, date });
    await writeControl(options, root, version);
    await mkdir(outDirectory, { recursive: true });
    const path = join(outDirectory, `dmthin_${version}_${architecture}.deb`);
    const compression = quick ? ['-Zgzip', '-z1'] : ['-Zxz', '-z6'];
    await runChecked(runProcess, 'dpkg-deb', ['--root-owner-group', ...compression, '--build', root, path], {
      timeoutMs: DPKG_TIMEOUT_MS,
      env: { SOURCE_DATE_EPOCH: String(builtAt) },
    });
    return path;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

export async function readVersion(checkout: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}

/** Seconds since 1970; outside of a git checkout, when package.json was written. */
async function commitTime(checkout: string): Promise<number> {
  const log = await runProcess('git', ['-C', checkout, 'log', '-1', '--format=%ct']).catch(() => undefined);
  if (log?.exitCode === 0) return Number(log.stdout);
  return Math.floor((await stat(join(checkout, 'package.json'))).mtimeMs / 1000);
}

async function writeControl(
  { checkout, architecture }: BuildOptions,
  root: string,
  version: string,
): Promise<void> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  let bytes = 0;
  const sums: string[] = [];
  for (const file of files) {
    bytes += (await stat(file)).size;
    const path = relative(root, file);
    if (!path.startsWith('etc/'))
      sums.push(
        `${createHash('md5')
          .update(await readFile(file))
          .digest('hex')}  ${path}\n`,
      );
  }
  const directory = join(root, 'DEBIAN');
  await mkdir(directory);
  await chmod(directory, 0o755);
  const installedKiB = Math.ceil(bytes / 1024);
  await writeFile(join(directory, 'control'), renderControl({ version, architecture, installedKiB }));
  await writeFile(join(directory, 'conffiles'), `${CONFFILES.join('\n')}\n`);
  await writeFile(join(directory, 'md5sums'), sums.join(''));
  for (const script of SCRIPTS) {
    await cp(join(checkout, 'packaging/deb', script), join(directory, script));
    await chmod(join(directory, script), 0o755);
  }
}

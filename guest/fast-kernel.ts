/**
 * The newer kernel: Debian's unstable user-mode-linux, fetched once from the machine's own mirror into a cache.
 *
 * It is linked against a libc newer than most machines have, so that libc and its loader lie beside it and its ELF
 * header names them (patchelf). apt verifies what it downloads; the machine's own apt state is neither read nor written,
 * except for its sources and settings.
 *
 * INVARIANT: the directory `KERNEL_DIRECTORY` of the cache is complete or absent: it is made beside and renamed.
 */
import {
  access,
  constants,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { DmthinError, hasCode, toDmthinError } from '../src/base/errors.ts';
import { runChecked, type RunProcess } from '../src/base/process.ts';
import { findMirror, sourceLine } from './apt-sources.ts';
import { ensurePackages, thisMachine } from './requirements.ts';

const SUITE = 'sid';
const PACKAGES = ['user-mode-linux', 'libc6'] as const;
/** The number goes up when what is kept changes. */
const KERNEL_DIRECTORY = 'fast-kernel-1';
const LIBRARIES = ['ld-linux-x86-64.so.2', 'libc.so.6'] as const;
/** How long a failure is remembered, so that a machine without the means does not try at every run. */
const REMEMBER_FAILURE_MS = 24 * 3600 * 1000;
const DOWNLOAD_TIMEOUT_MS = 5 * 60 * 1000;

type Environment = Readonly<Record<string, string | undefined>>;

/** `$XDG_CACHE_HOME/dmthin`, by default `~/.cache/dmthin`. */
export function cacheDirectory(env: Environment): string {
  const base = env['XDG_CACHE_HOME'] ?? '';
  return join(base.startsWith('/') ? base : join(homedir(), '.cache'), 'dmthin');
}

/** Path of the kernel in `cache`, whether it is there or not. Its modules: ../lib/uml/modules. */
export function fastKernelPath(cache: string): string {
  return join(cache, KERNEL_DIRECTORY, 'usr/bin/linux.uml');
}

/** Where the newer kernel is; or why it is not to be had, and whether that was found out just now. */
export type FastKernel =
  | { readonly kind: 'ready'; readonly path: string }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly isNews: boolean };

/**
 * Finds the newer kernel, fetching it when it is not there yet.
 * @param notice called before a download begins.
 * @throws cancelled
 */
export async function ensureFastKernel(
  cache: string,
  run: RunProcess,
  notice: (line: string) => void,
): Promise<FastKernel> {
  const path = fastKernelPath(cache);
  const known = await rememberedFailure(cache);
  if (known !== undefined) return { kind: 'unavailable', reason: known, isNews: false };
  if (await exists(path)) return { kind: 'ready', path };
  try {
    await makeCache(cache);
    notice('fetching a newer, faster kernel, once (50 MB; DMTHIN_GUEST_KERNEL=distribution does without)');
    await ensurePackages(['fast-kernel'], await thisMachine(run, notice));
    await fetchKernel(cache, run);
    return { kind: 'ready', path };
  } catch (error) {
    if (hasCode(error, 'cancelled')) throw error;
    const reason = firstLine(toDmthinError(error, 'fetch').message);
    await rememberFailure(cache, reason);
    return { kind: 'unavailable', reason, isNews: true };
  }
}

async function makeCache(cache: string): Promise<void> {
  try {
    await mkdir(cache, { recursive: true });
    await access(cache, constants.W_OK);
  } catch (error) {
    const nextStep = 'set XDG_CACHE_HOME to a directory that you can write';
    throw new DmthinError('unavailable', { op: 'cache', what: `cannot write ${cache}`, nextStep }, error);
  }
}

/**
 * Notes in the cache that the newer kernel does not serve here: it is left alone for a day.
 * @param reason one line. @param details what a person would want to read besides.
 */
export async function rememberFailure(cache: string, reason: string, details = ''): Promise<void> {
  // Where the cache is not writable there is no memory, and every run tells the reason.
  await writeFile(failureFile(cache), `${reason}\n${details}`).catch(() => undefined);
}

async function rememberedFailure(cache: string): Promise<string | undefined> {
  const file = failureFile(cache);
  try {
    const [{ mtimeMs }, reason] = await Promise.all([stat(file), readFile(file, 'utf8')]);
    if (Date.now() - mtimeMs > REMEMBER_FAILURE_MS) return undefined;
    return `${firstLine(reason)} (noted in ${file}: remove it to try again)`;
  } catch {
    return undefined;
  }
}

function failureFile(cache: string): string {
  return join(cache, `${KERNEL_DIRECTORY}.unavailable`);
}

async function fetchKernel(cache: string, run: RunProcess): Promise<void> {
  if (process.arch !== 'x64') throw unavailable(`there is none for ${process.arch}`);
  const mirror = findMirror(await readSources('/etc/apt'));
  if (mirror === undefined) throw unavailable('no Debian mirror in /etc/apt/sources.list*');
  const work = await mkdtemp(join(cache, `${KERNEL_DIRECTORY}.tmp-`));
  try {
    await download(work, sourceLine(mirror, SUITE), run);
    await assemble(work, join(cache, KERNEL_DIRECTORY), run);
    await rename(join(work, 'kernel'), join(cache, KERNEL_DIRECTORY)).catch(async (error: unknown) => {
      // Another run was faster: its copy is as good.
      if (!(await exists(fastKernelPath(cache)))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Puts the packages' .deb files into WORK/debs. */
async function download(work: string, sources: string, run: RunProcess): Promise<void> {
  const directories = ['debs', 'apt/lists/partial', 'apt/archives/partial'];
  await Promise.all(directories.map((path) => mkdir(join(work, path), { recursive: true })));
  await writeFile(join(work, 'apt/sources.list'), sources);
  await writeFile(join(work, 'apt/status'), '');
  const settings = {
    'Dir::State': join(work, 'apt'),
    'Dir::State::status': join(work, 'apt/status'),
    'Dir::Cache': join(work, 'apt'),
    'Dir::Etc::sourcelist': join(work, 'apt/sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Acquire::http::Timeout': '20',
    'Acquire::Retries': '1',
    // As root apt would change to a user who cannot write here.
    'APT::Sandbox::User': 'root',
    'APT::Architecture': 'amd64',
  };
  const file = join(work, 'apt/apt.conf');
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  await writeFile(file, lines.join(''));
  // Read after the machine's own settings (proxies, credentials), and stronger.
  const apt = ['-C', join(work, 'debs'), 'apt-get', '-c', file];
  const limit = { timeoutMs: DOWNLOAD_TIMEOUT_MS };
  await runChecked(run, 'env', [...apt, '--error-on=any', 'update'], limit);
  await runChecked(run, 'env', [...apt, 'download', ...PACKAGES], limit);
}

/** Makes WORK/kernel of the .deb files, to run from `home`. */
async function assemble(work: string, home: string, run: RunProcess): Promise<void> {
  const [unpacked, kernel] = [join(work, 'unpacked'), join(work, 'kernel')];
  for (const deb of await readdir(join(work, 'debs'))) {
    await runChecked(run, 'dpkg-deb', ['-x', join(work, 'debs', deb), unpacked], { timeoutMs: 120_000 });
  }
  const keep = ['usr/bin/linux.uml', 'usr/lib/uml/modules'];
  for (const path of keep) {
    await mkdir(dirname(join(kernel, path)), { recursive: true });
    await rename(join(unpacked, path), join(kernel, path));
  }
  await mkdir(join(kernel, 'lib'));
  for (const name of LIBRARIES) {
    await cp(join(unpacked, 'usr/lib/x86_64-linux-gnu', name), join(kernel, 'lib', name));
  }
  const lib = join(home, 'lib');
  const header = ['--set-interpreter', join(lib, LIBRARIES[0]), '--set-rpath', lib];
  await runChecked(run, 'patchelf', [...header, join(kernel, 'usr/bin/linux.uml')]);
}

async function readSources(etc: string): Promise<[string, string][]> {
  const parts = await readdir(join(etc, 'sources.list.d')).catch(() => []);
  const names = parts.filter((name) => /\.(list|sources)$/.test(name)).sort();
  const paths = ['sources.list', ...names.map((name) => join('sources.list.d', name))];
  const texts = await Promise.all(paths.map((path) => readFile(join(etc, path), 'utf8').catch(() => '')));
  return paths.map((path, index) => [path, texts[index] ?? '']);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

function unavailable(what: string): DmthinError {
  return new DmthinError('unavailable', { op: 'fetch the newer kernel', what });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

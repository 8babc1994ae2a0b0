/** Reads what the checks judge by. Changes nothing, and one thing that cannot be read keeps nothing else from being read. */
import { release } from 'node:os';
import { toDmthinError } from '../base/errors.ts';
import type { RunProcess } from '../base/process.ts';
import type { Bytes, DmName } from '../base/units.ts';
import { mergeConfigFiles, readConfigFiles } from '../containerd/config-files.ts';
import { type ContainerdConfig, viewConfig } from '../containerd/config-view.ts';
import { readInstalledVersion } from '../containerd/installed.ts';
import type { Config } from '../daemon/config.ts';
import { type ConfigResult, loadConfig } from '../daemon/read-config.ts';
import type { DmClient } from '../dm/client.ts';
import type { BlockDevices } from '../pool/block-devices.ts';
import { type PoolReport, readPoolReport } from '../pool/provision-status.ts';
import type { ContainerdFacts, DmFacts, Facts, Known } from './facts.ts';
import { readLimits, readMissingPrograms, readUdev } from './read-machine.ts';

export interface DoctorDeps {
  readonly run: RunProcess;
  readonly isRoot: () => boolean;
  readonly openDm: (transport: Config['transport']) => Promise<DmClient>;
  readonly blockDevices: BlockDevices;
  readonly connect: (address: string) => Promise<{ isServing(): Promise<boolean>; close(): void }>;
}

export interface DoctorRequest {
  /** undefined: the default file. */
  readonly configPath: string | undefined;
  readonly containerdConfigPath: string;
}

export async function readFacts(request: DoctorRequest, deps: DoctorDeps): Promise<Facts> {
  const config = await loadConfig(request.configPath);
  const isRoot = deps.isRoot();
  const { dm, pool } = await readKernel(config, isRoot, deps);
  const daemonServes = await readDaemon(config, isRoot, deps);
  return {
    isRoot,
    kernelRelease: release(),
    config,
    dm,
    pool,
    missingPrograms: await readMissingPrograms(),
    fileFreeBytes: await readFileSpace(pool, deps),
    storeFreeBytes: config.ok
      ? await known('look at the store', () => deps.blockDevices.freeBytes(config.config.rootPath))
      : NO_CONFIG,
    udev: await readUdev(),
    limits: await readLimits(config.ok && daemonServes.kind === 'known' ? config.config.rootPath : undefined),
    containerd: await readContainerd(request.containerdConfigPath, deps.run),
    daemonServes,
  };
}

const NO_CONFIG = { kind: 'unseen', why: 'the configuration has problems' } as const;
const NO_ROOT = { kind: 'unseen', why: 'only root can' } as const;

async function known<T>(op: string, read: () => Promise<T>): Promise<Known<T>> {
  try {
    return { kind: 'known', value: await read() };
  } catch (error) {
    return { kind: 'failed', error: toDmthinError(error, op) };
  }
}

async function readKernel(
  config: ConfigResult,
  isRoot: boolean,
  { openDm, blockDevices }: DoctorDeps,
): Promise<{ dm: Known<DmFacts>; pool: Known<PoolReport> }> {
  if (!isRoot) return { dm: NO_ROOT, pool: NO_ROOT };
  const opened = await known('open device-mapper', () =>
    openDm(config.ok ? config.config.transport : 'auto'),
  );
  if (opened.kind !== 'known') {
    return { dm: opened, pool: { kind: 'unseen', why: 'device-mapper does not answer' } };
  }
  const client = opened.value;
  try {
    const dm = await known('ask device-mapper', async () => ({
      transport: client.transport,
      version: await client.version(),
      targets: await client.targets(),
    }));
    return { dm, pool: config.ok ? await readPool(config.config.poolName, client, blockDevices) : NO_CONFIG };
  } finally {
    await client.close();
  }
}

function readPool(name: DmName, dm: DmClient, devices: BlockDevices): Promise<Known<PoolReport>> {
  return known('look at the pool', () => readPoolReport(name, { dm, devices }));
}

async function readFileSpace(
  pool: Known<PoolReport>,
  { blockDevices }: DoctorDeps,
): Promise<Known<Bytes | undefined>> {
  if (pool.kind !== 'known') return { kind: 'unseen', why: 'the pool is not there' };
  const { file } = pool.value.backing.data;
  if (file === undefined) return { kind: 'known', value: undefined };
  return known("look at the pool's file", () => blockDevices.freeBytes(file));
}

async function readContainerd(configPath: string, run: RunProcess): Promise<ContainerdFacts> {
  const version = await readInstalledVersion(run).catch(() => undefined);
  const config = await known("read containerd's configuration", () =>
    loadContainerdConfig(configPath, version),
  );
  return { version, configPath, config };
}

async function loadContainerdConfig(
  path: string,
  version: ContainerdFacts['version'],
): Promise<ContainerdConfig | undefined> {
  const files = await readConfigFiles(path);
  if (files === undefined) return undefined;
  return viewConfig(mergeConfigFiles(files, version !== undefined && version.major >= 2));
}

async function readDaemon(
  config: ConfigResult,
  isRoot: boolean,
  { connect }: DoctorDeps,
): Promise<Known<boolean>> {
  if (!config.ok) return NO_CONFIG;
  if (!isRoot) return NO_ROOT;
  return known('ask the daemon', async () => {
    const client = await connect(config.config.address);
    try {
      return await client.isServing();
    } finally {
      client.close();
    }
  });
}

/** `dmthin snapshots`: what the running daemon has, asked over its own socket. */
import type { Command } from 'commander';
import { formatSize } from '../base/units.ts';
import { DEFAULT_ADDRESS } from '../daemon/config.ts';
import { loadConfig } from '../daemon/read-config.ts';
import type { SnapshotInfo } from '../snapshotter/snapshotter.ts';
import type { CliDeps, SnapshotClient } from './deps.ts';
import { ConfigProblemsError } from './failure.ts';
import { formatTree } from './snapshot-tree.ts';
import { formatTable, painter, printJson } from './terminal.ts';

interface Options {
  readonly address?: string;
  readonly config?: string;
  readonly filter?: string[];
  readonly json?: boolean;
}

export function addSnapshotsCommands(program: Command, deps: CliDeps): void {
  const group = program.command('snapshots').description('Show the snapshots of the running daemon.');
  const add = (name: string, summary: string) =>
    group
      .command(name)
      .summary(summary)
      .option('--address <path>', 'the socket of the daemon (default: as configured)')
      .option('--config <file>', 'the configuration that names the socket')
      .option('--json', 'print JSON');
  add('ls', 'list snapshots')
    .description('Lists snapshots, oldest first.')
    .option('--filter <filter...>', 'containerd filters such as kind==active; any of them may match')
    .action((options: Options) => withClient(options, deps, (client) => list(client, options, deps)));
  add('tree', 'show snapshots below their parents')
    .description('Shows every snapshot below its parent.')
    .action((options: Options) => withClient(options, deps, (client) => tree(client, options, deps)));
  add('usage', 'show the space that snapshots take')
    .description('Shows the space that each snapshot takes by itself, without its parents, largest first.')
    .argument('[key...]', 'names of snapshots (default: all)')
    .action((keys: string[], options: Options) =>
      withClient(options, deps, (client) => usage(client, keys, options, deps)),
    );
}

async function withClient(
  options: Options,
  deps: CliDeps,
  body: (client: SnapshotClient) => Promise<void>,
): Promise<void> {
  const client = await deps.connect(await findAddress(options));
  try {
    await body(client);
  } finally {
    client.close();
  }
}

/** The flag; else the configuration's address. Only a configuration that was asked for by name has to be right. */
async function findAddress({ address, config }: Options): Promise<string> {
  if (address !== undefined) return address;
  const result = await loadConfig(config);
  if (result.ok) return result.config.address;
  if (config !== undefined) throw new ConfigProblemsError(result.problems);
  return DEFAULT_ADDRESS;
}

async function collect(client: SnapshotClient, filters: readonly string[]): Promise<SnapshotInfo[]> {
  const infos: SnapshotInfo[] = [];
  for await (const page of client.list(filters)) infos.push(...page);
  return infos.sort((a, b) => a.createdAtMs - b.createdAtMs || (a.name < b.name ? -1 : 1));
}

async function list(client: SnapshotClient, options: Options, { terminal }: CliDeps): Promise<void> {
  const infos = await collect(client, options.filter ?? []);
  if (options.json === true) {
    printJson(terminal, { snapshots: infos.map(toJson) });
    return;
  }
  terminal.out(
    formatTable(
      [{ title: 'KIND' }, { title: 'CREATED' }, { title: 'NAME' }, { title: 'PARENT' }],
      infos.map(({ kind, createdAtMs, name, parent }) => [
        kind,
        formatTime(createdAtMs),
        name,
        parent || '-',
      ]),
      painter(terminal),
    ),
  );
}

async function tree(client: SnapshotClient, options: Options, { terminal }: CliDeps): Promise<void> {
  const infos = await collect(client, []);
  if (options.json === true) printJson(terminal, { snapshots: infos.map(toJson) });
  else if (infos.length > 0) terminal.out(formatTree(infos, painter(terminal)));
}

async function usage(
  client: SnapshotClient,
  keys: readonly string[],
  options: Options,
  { terminal }: CliDeps,
): Promise<void> {
  const names = keys.length > 0 ? keys : (await collect(client, [])).map(({ name }) => name);
  const rows: { name: string; sizeBytes: number; inodes: number }[] = [];
  for (const name of names) rows.push({ name, ...(await client.usage(name)) });
  rows.sort((a, b) => b.sizeBytes - a.sizeBytes);
  const totalBytes = rows.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (options.json === true) {
    const usages = rows.map(({ name, sizeBytes, inodes }) => ({ name, size_bytes: sizeBytes, inodes }));
    printJson(terminal, { usages, total_bytes: totalBytes });
    return;
  }
  const cells = rows.map(({ name, sizeBytes, inodes }) => [formatSize(sizeBytes), String(inodes), name]);
  terminal.out(
    formatTable(
      [{ title: 'SIZE', align: 'right' }, { title: 'INODES', align: 'right' }, { title: 'NAME' }],
      [...cells, [formatSize(totalBytes), '', '(total)']],
      painter(terminal),
    ),
  );
}

function toJson(info: SnapshotInfo) {
  return {
    name: info.name,
    parent: info.parent,
    kind: info.kind,
    created_at: new Date(info.createdAtMs).toISOString(),
    updated_at: new Date(info.updatedAtMs).toISOString(),
    labels: info.labels,
  };
}

function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** `dmthin pool status`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { type DmName, formatSize } from '../base/units.ts';
import type { Backing } from '../pool/provision-backing.ts';
import type { ProvisionDeps } from '../pool/provision-request.ts';
import { type PoolReport, readPoolReport, type Space } from '../pool/provision-status.ts';
import type { CliDeps, Signals, Transport } from './deps.ts';
import { readPoolName, transportOption, withDeviceMapper } from './pool-access.ts';
import { formatBar, formatFacts, type Paint, painter, printJson } from './terminal.ts';

interface StatusOptions {
  readonly transport: Transport;
  readonly json?: boolean;
  /** Seconds between two looks; `true` when none are given. */
  readonly watch?: number | true;
}

export function addPoolStatusCommand(group: Command, deps: CliDeps): void {
  group
    .command('status')
    .summary('show how a pool is')
    .description('Shows how full a pool is, whether it is healthy, and what it stands on.')
    .argument('<name>', 'its name in /dev/mapper', readPoolName)
    .addOption(transportOption())
    .option('--json', 'print JSON')
    .option(
      '--watch [seconds]',
      'show it again and again, every two seconds or as given, until Ctrl-C',
      readSeconds,
    )
    .action((name: DmName, options: StatusOptions) =>
      withDeviceMapper(options.transport, deps, async (access) => {
        const { watch } = options;
        if (watch === undefined) show(await readPoolReport(name, access), options, deps);
        else
          await repeat(watch === true ? 2 : watch, deps.signals, () =>
            showAgain(name, options, access, deps),
          );
      }),
    );
}

function show(report: PoolReport, { json }: StatusOptions, { terminal }: CliDeps): void {
  if (json === true) printJson(terminal, toJson(report));
  else terminal.out(formatReport(report, painter(terminal)));
}

const CLEAR_SCREEN = '\u001B[H\u001B[2J';

async function showAgain(
  name: DmName,
  options: StatusOptions,
  access: ProvisionDeps,
  deps: CliDeps,
): Promise<void> {
  const report = await readPoolReport(name, access);
  if (options.json === true) deps.terminal.out(JSON.stringify(toJson(report)));
  else {
    const text = formatReport(report, painter(deps.terminal));
    deps.terminal.out(deps.terminal.colour ? CLEAR_SCREEN + text : `${text}\n`);
  }
}

/** Until SIGINT or SIGTERM. */
async function repeat(seconds: number, signals: Signals, body: () => Promise<void>): Promise<void> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  signals.on('SIGINT', end);
  signals.on('SIGTERM', end);
  try {
    while (!ended.signal.aborted) {
      await body();
      await sleep(seconds * 1000, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  } finally {
    signals.off('SIGINT', end);
    signals.off('SIGTERM', end);
  }
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 86_400) return seconds;
  throw new InvalidArgumentError('It is not a number of seconds.');
}

const MODES = {
  rw: 'read-write',
  ro: 'READ-ONLY: its metadata is full or damaged',
  out_of_data_space: 'OUT OF DATA SPACE: grow it or remove snapshots',
  fail: 'FAILED: all I/O errors; repair its metadata with thin_repair',
  error: 'ERROR: the kernel cannot read its figures',
} as const satisfies Record<PoolReport['mode'], string>;

export function formatReport(report: PoolReport, paint: Paint): string {
  const { figures } = report;
  const sound = report.mode === 'rw' && !report.suspended && figures?.needsCheck === false;
  const mode = report.suspended ? `${MODES[report.mode]}, suspended` : MODES[report.mode];
  const thins = report.activeThins.length;
  return [
    `${paint('bold', report.name)}  ${paint(sound ? 'green' : 'red', mode)}`,
    formatFacts([
      ...(figures === undefined
        ? []
        : ([
            ['data', formatSpace(figures.data)],
            ['metadata', formatSpace(figures.metadata)],
            [
              'needs check',
              figures.needsCheck ? 'YES: deactivate it, then thin_check and thin_repair' : 'no',
            ],
            ['transaction id', figures.transactionId.toString()],
            ['when full', figures.whenFull === 'queue' ? 'writes wait' : 'writes fail'],
          ] as const)),
      ['block size', formatSize(report.blockBytes)],
      ['low-water mark', `${formatSize(report.lowWaterBytes)} free`],
      [
        'features',
        report.features.length === 0
          ? 'none (blocks are zeroed, discards are passed down)'
          : report.features.join(' '),
      ],
      ['active devices', String(thins)],
      ['data on', formatBacking(report.backing.data)],
      ['metadata on', formatBacking(report.backing.metadata)],
    ]),
  ].join('\n');
}

function formatSpace({ usedBytes, totalBytes }: Space): string {
  const share = totalBytes === 0 ? 0 : usedBytes / totalBytes;
  const percent = `${(share * 100).toFixed(1)} %`;
  return `${formatBar(share)} ${percent.padStart(7)}  ${formatSize(usedBytes)} of ${formatSize(totalBytes)}`;
}

function formatBacking({ device, file, allocatedBytes }: PoolReport['backing']['data']): string {
  if (file === undefined) return device;
  return `${device}  ${file}${allocatedBytes === undefined ? '' : `, ${formatSize(allocatedBytes)} on disk`}`;
}

function toJson(report: PoolReport) {
  const { figures, backing } = report;
  const space = ({ usedBytes, totalBytes }: Space) => ({ used_bytes: usedBytes, total_bytes: totalBytes });
  const device = ({
    device: path,
    file,
    allocatedBytes,
  }: Backing & { allocatedBytes?: number | undefined }) => ({
    device: path,
    file: file ?? null,
    allocated_bytes: allocatedBytes ?? null,
  });
  return {
    name: report.name,
    mode: report.mode,
    suspended: report.suspended,
    needs_check: figures?.needsCheck ?? null,
    data: figures === undefined ? null : space(figures.data),
    metadata: figures === undefined ? null : space(figures.metadata),
    // A string: it has 64 bits, more than a JSON number carries safely.
    transaction_id: figures?.transactionId.toString() ?? null,
    when_full: figures?.whenFull ?? null,
    block_bytes: report.blockBytes,
    low_water_bytes: report.lowWaterBytes,
    features: report.features,
    active_devices: report.activeThins,
    data_device: device(backing.data),
    metadata_device: device(backing.metadata),
    status: report.raw,
  };
}

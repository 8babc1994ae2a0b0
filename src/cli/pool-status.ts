/** `dmthin pool status`. */
import type { Command } from 'commander';
import { type DmName, formatSize } from '../base/units.ts';
import type { Backing } from '../pool/provision-backing.ts';
import { type PoolReport, readPoolReport, type Space } from '../pool/provision-status.ts';
import type { CliDeps, Transport } from './deps.ts';
import { readPoolName, transportOption, withDeviceMapper } from './pool-access.ts';
import { formatBar, formatFacts, type Paint, painter, printJson } from './terminal.ts';

interface StatusOptions {
  readonly transport: Transport;
  readonly json?: boolean;
}

export function addPoolStatusCommand(group: Command, deps: CliDeps): void {
  group
    .command('status')
    .summary('show how a pool is')
    .description('Shows how full a pool is, whether it is healthy, and what it stands on.')
    .argument('<name>', 'its name in /dev/mapper', readPoolName)
    .addOption(transportOption())
    .option('--json', 'print JSON')
    .action(async (name: DmName, options: StatusOptions) => {
      const report = await withDeviceMapper(options.transport, deps, (access) =>
        readPoolReport(name, access),
      );
      if (options.json === true) printJson(deps.terminal, toJson(report));
      else deps.terminal.out(formatReport(report, painter(deps.terminal)));
    });
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

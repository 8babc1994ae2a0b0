/**
 * `npm run bench`: dmthin beside containerd's built-in devmapper snapshotter, in the guest (`--host`: on this machine).
 * docs/performance.md tells what is measured and how to read it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { ensurePackages, thisMachine } from '../guest/requirements.ts';
import { runProcess } from '../src/base/process.ts';
import { drawChart } from '../test/bench/chart.ts';
import { type Part, type ReportedResult, RESULT_MARK } from '../test/bench/result.ts';
import { type Row, rowOf } from '../test/bench/rows.ts';
import { PROCESS_START } from '../test/bench/growth.ts';
import { describeFigure, formatTable } from '../test/bench/table.ts';
import { ensureImages } from '../test/images/ensure-images.ts';
import { errorWords } from './words.ts';

const USAGE = 'usage: npm run bench [-- [--quick] [--json FILE] [--chart FILE] [--host]]';
const GUEST_LIMIT_S = '1500';
const PARTS: readonly Part[] = ['timing', 'async-remove', 'counting', 'growth'];

interface Options {
  readonly quick: boolean;
  readonly host: boolean;
  readonly json?: string | undefined;
  readonly chart?: string | undefined;
}

/** Runs one part where device-mapper is. @throws Error when it fails. */
async function runPart(part: Part, { quick, host }: Options): Promise<ReportedResult> {
  const inside = ['node', 'test/bench/main.ts', '--part', part, ...(quick ? ['--quick'] : [])];
  const child = spawn(process.execPath, ['guest/run.ts', ...(host ? ['--host'] : []), ...inside], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      UV_THREADPOOL_SIZE: '16',
      DMTHIN_GUEST_MEM: process.env['DMTHIN_GUEST_MEM'] ?? '4G',
      DMTHIN_GUEST_TIMEOUT: process.env['DMTHIN_GUEST_TIMEOUT'] ?? GUEST_LIMIT_S,
    },
  });
  let result: ReportedResult | undefined;
  const closed = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith(RESULT_MARK)) {
      // Written by our own test/bench/main.ts.
      result = JSON.parse(line.slice(RESULT_MARK.length)) as ReportedResult;
    } else console.log(`  ${line}`);
  }
  const [exitCode] = (await closed) as [number | null];
  if (exitCode !== 0 || result === undefined) throw new Error(`${part} ended with ${exitCode ?? 'a signal'}`);
  return result;
}

async function main(options: Options): Promise<void> {
  await ensurePackages(
    ['guest', 'fast-kernel', 'pool', 'containerd', 'images'],
    await thisMachine(runProcess, (line) => console.log(line)),
  );
  await ensureImages();
  const results: ReportedResult[] = [];
  for (const part of PARTS) {
    console.log(part);
    results.push(await runPart(part, options));
  }
  const rows = rowsOf(results);
  const [first] = results;
  if (first === undefined) return;
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  const machine = `${cpus()[0]?.model ?? 'unknown processor'}, ${first.cpus} in use${options.host ? '' : ', User-Mode Linux guest'}`;
  const versions = { dmthin: version, containerd: first.containerd, node: process.version };
  console.log(`\n${machine}; kernel ${first.kernel}; ${describe(versions)}\n`);
  const growth = results.flatMap((result) => result.growth ?? []);
  console.log(formatTable(rows, growth.find(({ what }) => what === PROCESS_START)?.value));
  for (const figure of growth) console.log(describeFigure(figure));
  for (const [name, facts] of Object.entries(first.daemons ?? {})) {
    console.log(
      `${name}: ${facts.cpuSeconds.toFixed(1)} s of processor, at most ${facts.peakRssMiB} MiB resident`,
    );
  }
  const report = { machine, kernel: first.kernel, versions, daemons: first.daemons, rows, growth };
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  if (options.chart !== undefined) {
    const caption = `p50, one caller, kernel ${first.kernel.split('-')[0] ?? ''} guest, containerd ${first.containerd}`;
    await writeFile(options.chart, drawChart(rows, caption));
  }
}

function rowsOf(results: readonly ReportedResult[]): Row[] {
  const counts = results.flatMap((result) => result.counts ?? []);
  return results
    .flatMap(({ series }) => series)
    .map((series) => {
      // Whoever asks dmthin, the daemon does the same.
      const counted = series.target === 'dmthin' ? 'direct' : series.target;
      return rowOf(
        series,
        counts.find((row) => row.operation === series.operation && row.target === counted),
      );
    });
}

function describe(versions: Readonly<Record<string, string>>): string {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
}

function options(): Options | undefined {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        host: { type: 'boolean', default: false },
        json: { type: 'string' },
        chart: { type: 'string' },
      },
    }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return undefined;
  }
}

const wanted = options();
if (wanted === undefined) process.exitCode = 64;
else {
  try {
    await main(wanted);
  } catch (error) {
    console.error(errorWords(error));
    process.exitCode = 1;
  }
}

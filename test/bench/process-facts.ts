/** What the kernel knows of a process's cost so far. */
import { readFile } from 'node:fs/promises';
import { run } from '../e2e/harness/run.ts';

export interface ProcessFacts {
  readonly cpuSeconds: number;
  readonly peakRssMiB: number;
}

export async function processFacts(pid: number | undefined): Promise<ProcessFacts> {
  const stat = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const ticks = Number(await run(['getconf', 'CLK_TCK']));
  return {
    cpuSeconds: (Number(stat[11]) + Number(stat[12])) / ticks,
    peakRssMiB: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024),
  };
}

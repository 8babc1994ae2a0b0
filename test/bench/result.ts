/** What a part of the benchmark tells the script that started it. */
import type { CountedRow } from './counts.ts';
import type { GrowthFigure } from './growth.ts';
import type { Series } from './rows.ts';

export type Part = 'timing' | 'async-remove' | 'counting' | 'growth';

export interface DaemonFacts {
  readonly cpuSeconds: number;
  readonly peakRssMiB: number;
}

export interface PartResult {
  readonly series: readonly Series[];
  readonly counts?: readonly CountedRow[];
  readonly growth?: readonly GrowthFigure[];
  readonly daemons?: { readonly containerd: DaemonFacts; readonly dmthin: DaemonFacts };
}

/** With what is added of the machine. */
export interface ReportedResult extends PartResult {
  readonly kernel: string;
  readonly cpus: number;
  readonly containerd: string;
}

export const RESULT_MARK = '\u001eresult ';

/** What a command did to a pool, or with `--dry-run` would do. */
import type { DmName } from '../base/units.ts';
import { printJson, type Terminal } from './terminal.ts';

export interface StepsToPrint {
  readonly name: DmName;
  /** A line for what has been done. */
  readonly title: string;
  readonly steps: readonly string[];
  readonly dryRun: boolean;
  readonly json: boolean;
}

export function printSteps(terminal: Terminal, { name, title, steps, dryRun, json }: StepsToPrint): void {
  if (json) {
    printJson(terminal, { pool: name, dry_run: dryRun, steps });
    return;
  }
  const first = dryRun ? `to be done for pool ${name} (nothing has been changed):` : title;
  terminal.out([first, ...steps.map((step) => `  ${step}`)].join('\n'));
}

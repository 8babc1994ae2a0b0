/**
 * Points of the victim: every store transaction, planned step, device-mapper call and program that it runs, before and
 * after. The victim writes each one down before it goes on, and can die at any of them.
 */
import diagnostics from 'node:diagnostics_channel';
import type { ChildProcess } from 'node:child_process';

/** The steps that do something of their own besides calls to device-mapper. */
const STEPS_WITH_IO = ['step flush', 'step discard'];

export interface Points {
  /** @returns a promise that never resolves when this point is held. */
  before(what: string): Promise<void>;
  after(what: string): Promise<void>;
  /** The same for callbacks that cannot wait. */
  reached(point: string): void;
  /** Counts from zero; dies at the `killAt`th point from now. */
  arm(killAt: number | undefined): void;
  /** Whoever reaches this point next stays there for good. */
  hold(point: string): void;
}

export interface PointsOptions {
  readonly tell: (line: string) => void;
  readonly die: () => void;
}

export function createPoints({ tell, die }: PointsOptions): Points {
  let count = 0;
  let target: number | undefined;
  let heldPoint: string | undefined;

  function reached(point: string): void {
    tell(`point ${point}`);
    count += 1;
    if (count === target) die();
  }

  function pass(point: string): Promise<void> {
    reached(point);
    if (point !== heldPoint) return Promise.resolve();
    heldPoint = undefined;
    tell('held');
    return new Promise(() => undefined);
  }

  return {
    reached,
    before: (what) => pass(`before ${what}`),
    after: (what) => pass(`after ${what}`),
    arm(killAt) {
      count = 0;
      target = killAt;
    },
    hold: (point) => void (heldPoint = point),
  };
}

/** Points of programs: `during` once it runs, `after` at its end. */
export function watchPrograms(points: Pick<Points, 'reached'>): void {
  diagnostics.channel('child_process').subscribe((message) => {
    const { process: child } = message as { readonly process: ChildProcess };
    let program = '';
    child.once('spawn', () => {
      program = (child.spawnargs[0] ?? '').split('/').at(-1) ?? '';
      points.reached(`during program ${program}`);
    });
    child.once('exit', () => points.reached(`after program ${program}`));
  });
}

/**
 * Which of the points in `trace` are one and the same crash. Neighbours share a group when nothing outside of the process
 * can have changed between them: no transaction, call, program or disk access was under way. What has no point of its own,
 * such as links in /dev/mapper and mount points, comes right after a call or a program: its end shares with nobody after it.
 * @returns the numbers of the points, counted from 1, in groups.
 */
export function groupPoints(trace: readonly string[]): number[][] {
  const underWay: string[] = [];
  const groups: number[][] = [];
  let quiet = false;
  for (const [index, point] of trace.entries()) {
    const [edge = '', ...words] = point.split(' ');
    const what = words.join(' ');
    const last = groups.at(-1);
    if (quiet && edge !== 'during' && last !== undefined) last.push(index + 1);
    else groups.push([index + 1]);
    if (!what.startsWith('step ') || STEPS_WITH_IO.includes(what)) {
      if (edge !== 'after') underWay.push(what);
      else if (underWay.includes(what)) underWay.splice(underWay.indexOf(what), 1);
    }
    quiet = underWay.length === 0 && !/^after (ioctl|dm|program) /.test(point);
  }
  return groups;
}

/** containerd's own client, `ctr`, as the tests call it. */
import { run } from './run.ts';

export interface Ctr {
  /** `ctr ARGS...`; @returns standard output. @throws with ctr's words and the logs of the node. */
  (...args: string[]): Promise<string>;
  /** `ctr snapshots --snapshotter NAME ARGS...` */
  snapshots(...args: string[]): Promise<string>;
  /** `ctr images pull` of `reference` for the snapshotter under test. */
  pull(reference: string): Promise<string>;
  /** `ctr run ARGS... REFERENCE ID COMMAND...` on the snapshotter under test. */
  run(flags: readonly string[], reference: string, id: string, ...command: string[]): Promise<string>;
}

export interface CtrOptions {
  readonly address: string;
  readonly snapshotter: string;
  /** What explains a failure: the logs' ends. */
  readonly explain: () => Promise<string>;
}

const TIMEOUT_MS = 300_000;

export function createCtr({ address, snapshotter, explain }: CtrOptions): Ctr {
  const ctr = async (...args: string[]): Promise<string> => {
    try {
      return await run(['ctr', '--address', address, ...args], { timeoutMs: TIMEOUT_MS });
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new Error(`${words}\n${await explain()}`, { cause: error });
    }
  };
  const own = ['--snapshotter', snapshotter];
  return Object.assign(ctr, {
    snapshots: (...args: string[]) => ctr('snapshots', ...own, ...args),
    pull: (reference: string) => ctr('images', 'pull', '--plain-http', ...own, reference),
    run: (flags: readonly string[], reference: string, id: string, ...command: string[]) =>
      ctr('run', ...own, ...flags, reference, id, ...command),
  });
}

/** A table of ctr's, which pads its columns with spaces, as one array a row, without the heading. */
export function rowsOf(table: string): string[][] {
  return table
    .split('\n')
    .slice(1)
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s+/));
}

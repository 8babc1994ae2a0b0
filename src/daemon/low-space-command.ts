/** The operator's command for a pool that is low on space. docs/configuration.md promises its environment. */
import { toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { RunProcess } from '../base/process.ts';
import type { LowSpace } from '../pool/space-keeper.ts';

const TIMEOUT_MS = 60_000;
const MAX_LOGGED = 2000;

/** @returns a function that never throws: how the command ends is logged. */
export function createLowSpaceCommand(
  argv: readonly string[],
  run: RunProcess,
  log: Log,
): (low: LowSpace) => Promise<void> {
  const [file = '', ...args] = argv;
  return async (low) => {
    const env = {
      DMTHIN_POOL: low.pool,
      DMTHIN_SPACE: low.role,
      DMTHIN_FREE_PERCENT: low.freePercent.toFixed(1),
      DMTHIN_DATA_DEVICE: low.dataDevice,
      DMTHIN_METADATA_DEVICE: low.metadataDevice,
      DMTHIN_POOL_STATUS: low.poolStatus,
    };
    try {
      const { exitCode, stdout, stderr } = await run(file, args, { timeoutMs: TIMEOUT_MS, env });
      const facts = { command: argv, exitCode, output: `${stdout}${stderr}`.trim().slice(0, MAX_LOGGED) };
      if (exitCode === 0) log.info(facts, 'on_low_space has run');
      else log.error(facts, 'on_low_space has failed');
    } catch (error) {
      log.error({ command: argv, error: toDmthinError(error, 'on_low_space') }, 'on_low_space has failed');
    }
  };
}

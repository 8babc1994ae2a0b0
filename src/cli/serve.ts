/** `dmthin serve`: the daemon, until a signal ends it. */
import type { Command } from 'commander';
import { DEFAULT_ADDRESS, DEFAULT_CONFIG_PATH, DEFAULT_ROOT_PATH } from '../daemon/config.ts';
import { loadConfig } from '../daemon/read-config.ts';
import type { CliDeps, Signals } from './deps.ts';
import { ConfigProblemsError } from './failure.ts';

interface ServeOptions {
  readonly config?: string;
  readonly address?: string;
  readonly root?: string;
  readonly logLevel?: string;
}

export function addServeCommand(program: Command, deps: CliDeps): void {
  program
    .command('serve')
    .summary('run the snapshotter')
    .description('Runs the snapshotter until SIGTERM or SIGINT ends it; a second signal ends it at once.')
    .option(
      '--config <file>',
      `configuration: dmthin's own, or containerd's with its devmapper table (default: ${DEFAULT_CONFIG_PATH})`,
    )
    .option(
      '--address <path>',
      `unix socket to listen on, or fd:// for the one that systemd passes (default: ${DEFAULT_ADDRESS})`,
    )
    .option('--root <dir>', `directory of the snapshot store (default: ${DEFAULT_ROOT_PATH})`)
    .option('--log-level <level>', 'trace, debug, info, warn, error or fatal (default: info)')
    .action((options: ServeOptions) => serve(options, deps));
}

/** @throws ConfigProblemsError before anything is started; whatever `startDaemon` throws. */
async function serve(options: ServeOptions, deps: CliDeps): Promise<void> {
  const { config: path, ...flags } = options;
  const result = await loadConfig(path, flags);
  if (!result.ok) throw new ConfigProblemsError(result.problems);
  const log = deps.createLog(result.config.logLevel);
  using ending = watchSignals(deps.signals, deps.exit);
  const daemon = await deps.startDaemon(result.config, { log, version: deps.version });
  const signal = await ending.first;
  log.info({ signal }, 'stopping');
  await daemon.stop();
  log.info({}, 'stopped');
}

const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;
type EndingSignal = keyof typeof EXIT_OF_SIGNAL;

/**
 * A first signal during the start waits for the start to end, so that nothing is left half-made; the second, whenever
 * it comes, ends the process with the code that a shell gives for that signal.
 */
function watchSignals(
  signals: Signals,
  exit: (code: number) => void,
): Disposable & { readonly first: Promise<EndingSignal> } {
  const { promise: first, resolve } = Promise.withResolvers<EndingSignal>();
  let seen = false;
  const listenerOf = (signal: EndingSignal) => () => {
    if (seen) exit(EXIT_OF_SIGNAL[signal]);
    seen = true;
    resolve(signal);
  };
  const listeners = { SIGINT: listenerOf('SIGINT'), SIGTERM: listenerOf('SIGTERM') };
  signals.on('SIGINT', listeners.SIGINT);
  signals.on('SIGTERM', listeners.SIGTERM);
  return {
    first,
    [Symbol.dispose]: () => {
      signals.off('SIGINT', listeners.SIGINT);
      signals.off('SIGTERM', listeners.SIGTERM);
    },
  };
}

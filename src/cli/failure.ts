/** How a failed command ends: what it prints and its exit code. */
import { CommanderError } from 'commander';
import { type ErrorCode, toDmthinError } from '../base/errors.ts';
import { type ConfigProblem, formatProblem } from '../daemon/read-config.ts';
import type { Terminal } from './terminal.ts';

/** The exit codes of every command, after sysexits.h. `dmthin --help` and docs/cli.md print them. */
export const EXIT_CODES = {
  ok: 0,
  failure: 1,
  usage: 64,
  unavailable: 69,
  cannotCreate: 73,
  tryAgain: 75,
  noPermission: 77,
  config: 78,
} as const;

export const EXIT_CODE_MEANINGS = {
  ok: 'done',
  failure: 'failed, or refused because of what is there; check, repair, doctor: there are findings',
  usage: 'wrong usage or an impossible value',
  unavailable: 'the daemon, device-mapper, the pool or a needed program is not available',
  cannotCreate: 'exists already, or there is no space to create it',
  tryAgain: 'busy, locked or too slow: try again',
  noPermission: 'not permitted: run as root',
  config: 'the configuration has problems',
} as const satisfies Record<keyof typeof EXIT_CODES, string>;

const EXIT_OF_ERROR = {
  invalid_argument: EXIT_CODES.usage,
  not_found: EXIT_CODES.failure,
  already_exists: EXIT_CODES.cannotCreate,
  failed_precondition: EXIT_CODES.failure,
  busy: EXIT_CODES.tryAgain,
  resource_exhausted: EXIT_CODES.cannotCreate,
  unavailable: EXIT_CODES.unavailable,
  unsupported: EXIT_CODES.unavailable,
  cancelled: EXIT_CODES.failure,
  deadline_exceeded: EXIT_CODES.tryAgain,
  config: EXIT_CODES.config,
  locked: EXIT_CODES.tryAgain,
  internal: EXIT_CODES.failure,
} as const satisfies Record<ErrorCode, number>;

const PERMISSION_ERRNOS: readonly (string | undefined)[] = ['EPERM', 'EACCES'];

/** Every problem of a configuration, kept apart so that `--json` can list them. */
export class ConfigProblemsError extends Error {
  override readonly name = 'ConfigProblemsError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** The command has printed what it found, and that is a failure. */
export class ReportedFailure extends Error {
  override readonly name = 'ReportedFailure';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`ended with ${exitCode}`);
    this.exitCode = exitCode;
  }
}

export interface Failure {
  readonly exitCode: number;
  readonly message: string;
  /** What follows the message for people; `--json` has it in `facts`. */
  readonly lines: readonly string[];
  readonly nextStep: string | undefined;
  /** The members of `error` in `--json` besides message, next_step and exit_code. */
  readonly facts: { readonly code: ErrorCode } & Readonly<Record<string, unknown>>;
}

/** @param usageHint the command whose help explains a wrong command line, for example `dmthin pool create`. */
export function toFailure(error: unknown, usageHint: string): Failure {
  if (error instanceof CommanderError) {
    return {
      exitCode: EXIT_CODES.usage,
      message: error.message.replace(/^error: /, '').replace('\n', ' '),
      lines: [],
      nextStep: `${usageHint} --help`,
      facts: { code: 'invalid_argument' },
    };
  }
  if (error instanceof ConfigProblemsError) {
    const { problems } = error;
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    return {
      exitCode: EXIT_CODES.config,
      message: `the configuration has ${count}`,
      lines: problems.map(formatProblem),
      nextStep: undefined,
      facts: { code: 'config', problems },
    };
  }
  const ours = toDmthinError(error, 'dmthin');
  const { nextStep, ...detail } = ours.detail;
  return {
    exitCode: PERMISSION_ERRNOS.includes(detail.errno) ? EXIT_CODES.noPermission : EXIT_OF_ERROR[ours.code],
    message: ours.with({ nextStep: undefined }).message,
    lines: [],
    nextStep,
    facts: {
      code: ours.code,
      op: detail.op,
      device: detail.device,
      device_id: detail.deviceId,
      errno: detail.errno,
      pool_status: detail.poolStatus,
    },
  };
}

/** Prints a failure to standard error, for people or with `json` as `{"error":{...}}`. */
export function printFailure(failure: Failure, terminal: Terminal, json: boolean): void {
  const { exitCode, message, lines, nextStep, facts } = failure;
  if (json) {
    const { code, ...rest } = facts;
    const error = { code, message, next_step: nextStep, exit_code: exitCode, ...rest };
    terminal.err(JSON.stringify({ error }));
    return;
  }
  terminal.err([`dmthin: ${message}`, ...lines.map((line) => `  ${line}`)].join('\n'));
  if (nextStep !== undefined) terminal.err(`  next step: ${nextStep}`);
}

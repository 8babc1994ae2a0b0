/**
 * The one error taxonomy of dmthin.
 *
 * Every failure that crosses a module boundary is a {@link DmthinError}. Callers branch on `code` only;
 * gRPC status, exit code and retryability are tables keyed by it.
 */

/** Closed list of error codes. docs/errors.md explains each; a test holds the two equal. */
export const ERROR_CODES = [
  'invalid_argument',
  'not_found',
  'already_exists',
  'failed_precondition',
  'busy',
  'resource_exhausted',
  'unavailable',
  'unsupported',
  'cancelled',
  'deadline_exceeded',
  'config',
  'locked',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** What an operator needs to know about a failure, besides its code. */
export interface ErrorDetail {
  /** What was being done, for example `Prepare` or `create_snap`. */
  readonly op: string;
  /** What went wrong, as a clause without trailing full stop. */
  readonly what: string;
  /** Device-mapper name or path concerned. */
  readonly device?: string | undefined;
  /** Thin device id concerned. */
  readonly deviceId?: number | undefined;
  /** Symbolic errno, for example `EBUSY`. */
  readonly errno?: string | undefined;
  /** The pool's status line as the kernel printed it. */
  readonly poolStatus?: string | undefined;
  /** What the operator can do about it. */
  readonly nextStep?: string | undefined;
}

export class DmthinError extends Error {
  override readonly name = 'DmthinError';
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;

  constructor(code: ErrorCode, detail: ErrorDetail, cause?: unknown) {
    super(formatDetail(detail), cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
  }

  /** The same failure seen from an outer operation, or with facts that the inner layer did not have. */
  with(more: Partial<ErrorDetail>, code: ErrorCode = this.code): DmthinError {
    return new DmthinError(code, { ...this.detail, ...more }, this);
  }
}

function formatDetail(detail: ErrorDetail): string {
  const device =
    detail.device === undefined && detail.deviceId === undefined
      ? ''
      : ` (${[
          detail.device === undefined ? undefined : `device ${detail.device}`,
          detail.deviceId === undefined ? undefined : `id ${detail.deviceId}`,
        ]
          .filter((part) => part !== undefined)
          .join(', ')})`;
  const errno = detail.errno === undefined ? '' : `: ${detail.errno}`;
  const pool = detail.poolStatus === undefined ? '' : `; pool status: ${detail.poolStatus}`;
  const next = detail.nextStep === undefined ? '' : `; next step: ${detail.nextStep}`;
  return `${detail.op}: ${detail.what}${device}${errno}${pool}${next}`;
}

/** True when `error` is ours and has one of `codes`. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is DmthinError {
  return error instanceof DmthinError && codes.includes(error.code);
}

/** Node's name for what the system or Node itself refused with, for example `ENOENT`; undefined when it is neither's error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof DmthinError || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Any thrown value as a {@link DmthinError}; a foreign one becomes `internal` with the original as cause. */
export function toDmthinError(error: unknown, op: string): DmthinError {
  if (error instanceof DmthinError) return error;
  const what = error instanceof Error ? error.message : String(error);
  return new DmthinError('internal', { op, what }, error);
}

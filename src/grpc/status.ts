/** Our error codes on the wire, both ways. */
import { status } from '@grpc/grpc-js';
import { type DmthinError, type ErrorCode } from '../base/errors.ts';

/**
 * What containerd does with a code decides the choice.
 * FAILED_PRECONDITION on a removal lets its garbage collector go on with other snapshots, any other code stops the
 * collection (containerd #3923), so `busy` has it and failures that concern the whole node do not.
 * UNIMPLEMENTED would say that the plugin lacks the call (containerd then skips Cleanup without a word), so a
 * missing program or right (`unsupported`) is INTERNAL.
 */
const GRPC_STATUS = {
  invalid_argument: status.INVALID_ARGUMENT,
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  failed_precondition: status.FAILED_PRECONDITION,
  busy: status.FAILED_PRECONDITION,
  resource_exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  unsupported: status.INTERNAL,
  cancelled: status.CANCELLED,
  deadline_exceeded: status.DEADLINE_EXCEEDED,
  config: status.INTERNAL,
  locked: status.UNAVAILABLE,
  internal: status.INTERNAL,
} as const satisfies Record<ErrorCode, status>;

/** The way back, for our client. Statuses that a dmthin daemon never sends become `internal`. */
const ERROR_CODE = new Map<status, ErrorCode>([
  [status.INVALID_ARGUMENT, 'invalid_argument'],
  [status.NOT_FOUND, 'not_found'],
  [status.ALREADY_EXISTS, 'already_exists'],
  [status.FAILED_PRECONDITION, 'failed_precondition'],
  [status.RESOURCE_EXHAUSTED, 'resource_exhausted'],
  [status.UNAVAILABLE, 'unavailable'],
  [status.UNIMPLEMENTED, 'unsupported'],
  [status.CANCELLED, 'cancelled'],
  [status.DEADLINE_EXCEEDED, 'deadline_exceeded'],
]);

/**
 * The message travels percent-encoded in an HTTP/2 header, where peers limit the size of all headers together
 * (8 KiB is the smallest common limit).
 */
export const MAX_STATUS_TEXT_BYTES = 4096;
const CUT_MARK = '...';

export interface GrpcStatus {
  readonly code: status;
  readonly details: string;
}

export function toGrpcStatus(error: DmthinError): GrpcStatus {
  return { code: GRPC_STATUS[error.code], details: statusText(error.message) };
}

export function fromGrpcStatus(code: status): ErrorCode {
  return ERROR_CODE.get(code) ?? 'internal';
}

/**
 * `text` as a status message that every peer accepts: lone surrogates replaced (percent-encoding throws on them)
 * and cut, at a character, so that its percent-encoded form has at most {@link MAX_STATUS_TEXT_BYTES} bytes.
 */
export function statusText(text: string): string {
  const whole = text.slice(0, MAX_STATUS_TEXT_BYTES).toWellFormed();
  if (whole.length === text.length && encodeURI(whole).length <= MAX_STATUS_TEXT_BYTES) return whole;
  let size = CUT_MARK.length;
  let end = 0;
  for (const character of whole) {
    size += encodeURI(character).length;
    if (size > MAX_STATUS_TEXT_BYTES) break;
    end += character.length;
  }
  return whole.slice(0, end) + CUT_MARK;
}

/** What callers learn about a filter that is refused. */
import { DmthinError } from '../base/errors.ts';

export function filterError(what: string, cause?: unknown): DmthinError {
  return new DmthinError('invalid_argument', { op: 'List', what }, cause);
}

const CONTEXT_CHARACTERS = 40;

/** A syntax error at `position` (in UTF-16 units) of `filter`, shown with what stands around it. */
export function syntaxError(filter: string, position: number, what: string): DmthinError {
  const start = Math.max(0, position - CONTEXT_CHARACTERS);
  const end = Math.min(filter.length, position + CONTEXT_CHARACTERS);
  const before = `${start > 0 ? '...' : ''}${filter.slice(start, position)}`;
  const after = `${filter.slice(position, end)}${end < filter.length ? '...' : ''}`;
  const where = position >= filter.length ? `at the end of ${before}` : `in ${before} >>> ${after}`;
  return filterError(`a filter does not parse: ${what}, ${where}`);
}

/**
 * The syntax of containerd's filters (package filters, 1.6 to 2.x), accepting what it accepts:
 *
 *   filter    := selector (',' selector)*
 *   selector  := fieldpath (operator value)?
 *   fieldpath := field ('.' field)*
 *   field     := [A-Za-z0-9_-]+ | quoted
 *   operator  := '==' | '!=' | '~='
 *   value     := quoted | a run of characters without spaces, commas and control characters
 *   quoted    := a Go string in double quotes; after '~=' also between slashes or bars
 *
 * White space is skipped before a token and nowhere else. A bare value cannot begin with a character that begins
 * another token: . , = ! ~ and the three quotes.
 */
import { syntaxError } from './filter-error.ts';
import { type Quote, unquote } from './filter-quote.ts';

const QUOTE_HINT = 'what has other characters than letters, digits, - and _ goes in double quotes';

export type Operator = '==' | '!=' | '~=';

export interface Selector {
  /** At least one field. */
  readonly fieldPath: readonly string[];
  readonly operator: Operator | 'present';
  /** '' for `present`. */
  readonly value: string;
}

const SPACE = /\p{White_Space}*/uy;
const FIELD = /[A-Za-z0-9_-]+/y;
const OPERATOR = /[=!~]+/y;
const QUOTE = /["/|]/y;
/** The first character may be any that begins no other token, control characters included. */
const VALUE = /[^.,=!~"/|\p{White_Space}\0\ufffd](?:(?![,\ufffd])[\p{L}\p{M}\p{N}\p{P}\p{S}])*/uy;

/** @throws invalid_argument with the place where it goes wrong. */
export function parseFilter(filter: string): Selector[] {
  let position = 0;

  /** The text that `token` (a sticky expression) matches here, consumed; undefined when it does not match. */
  function take(token: RegExp): string | undefined {
    token.lastIndex = position;
    const text = token.exec(filter)?.[0];
    if (text !== undefined) position += text.length;
    return text;
  }

  function fail(what: string): never {
    throw syntaxError(filter, position, what);
  }

  function quoted(allowed: readonly Quote[]): string | undefined {
    const start = position;
    const quote = take(QUOTE);
    if (quote === undefined) return undefined;
    const known = allowed.find((each) => each === quote);
    if (known === undefined) {
      position = start;
      return fail(`only double quotes can stand here, not ${quote}`);
    }
    const { text, end } = unquote(filter, start, known);
    position = end;
    return text;
  }

  function field(): string {
    take(SPACE);
    return quoted(['"']) ?? take(FIELD) ?? fail(`a field name is missing (${QUOTE_HINT})`);
  }

  function operator(): Operator {
    take(SPACE);
    const start = position;
    const text = take(OPERATOR);
    if (text === '==' || text === '!=' || text === '~=') return text;
    position = start;
    return fail(
      text === undefined
        ? `an operator (==, !=, ~=) is missing (${QUOTE_HINT})`
        : `there is no operator ${text.slice(0, 10)}`,
    );
  }

  function value(after: Operator): string {
    take(SPACE);
    return quoted(after === '~=' ? ['"', '/', '|'] : ['"']) ?? take(VALUE) ?? fail('a value is missing');
  }

  function selector(): Selector {
    const fieldPath = [field()];
    while (filter[position] === '.') {
      position += 1;
      fieldPath.push(field());
    }
    if (position === filter.length || filter[position] === ',') {
      return { fieldPath, operator: 'present', value: '' };
    }
    const op = operator();
    return { fieldPath, operator: op, value: value(op) };
  }

  const selectors = [selector()];
  while (position < filter.length) {
    if (filter[position] !== ',') fail('a comma or the end is missing');
    position += 1;
    selectors.push(selector());
  }
  return selectors;
}

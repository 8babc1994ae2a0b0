/** Go's string literals, with the delimiters that containerd adds for regular expressions. */
import { syntaxError } from './filter-error.ts';

export type Quote = '"' | '/' | '|';

const SIMPLE_ESCAPE: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
]);

/** A run of characters that stand for themselves, up to a quote, a backslash, or what no literal may contain. */
const PLAIN = /[^"/|\\\n\0\ufffd]+/y;
const BYTE_ESCAPE = /[0-7]{3}|x[0-9A-Fa-f]{2}/y;
const RUNE_ESCAPE = /u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}/y;
const MAX_RUNE = 0x10ffff;

/**
 * Reads the literal of `input` that begins with `quote` at `start`.
 * @returns its text, and the position after its closing quote.
 * @throws invalid_argument when it does not end, has an escape that Go does not know, or is not UTF-8.
 */
export function unquote(input: string, start: number, quote: Quote): { text: string; end: number } {
  const bytes: Buffer[] = [];
  let position = start + 1;

  function take(token: RegExp): string | undefined {
    token.lastIndex = position;
    const text = token.exec(input)?.[0];
    if (text !== undefined) position += text.length;
    return text;
  }

  /** The escape after the backslash at `position - 1`. */
  function escape(): Buffer {
    const byte = take(BYTE_ESCAPE);
    if (byte !== undefined) {
      const value = byte.startsWith('x') ? Number.parseInt(byte.slice(1), 16) : Number.parseInt(byte, 8);
      if (value <= 0xff) return Buffer.of(value);
    }
    const rune = take(RUNE_ESCAPE);
    if (rune !== undefined) {
      const value = Number.parseInt(rune.slice(1), 16);
      // Half a surrogate pair becomes U+FFFD, as Go encodes it.
      if (value <= MAX_RUNE) return Buffer.from(String.fromCodePoint(value));
    }
    const character = input[position] ?? '';
    const simple = character === quote ? quote : SIMPLE_ESCAPE.get(character);
    if (byte === undefined && rune === undefined && simple !== undefined) {
      position += 1;
      return Buffer.from(simple);
    }
    throw syntaxError(input, position - 1, 'an escape sequence that Go strings do not have');
  }

  for (;;) {
    const plain = take(PLAIN);
    if (plain !== undefined) bytes.push(Buffer.from(plain));
    const character = input[position];
    position += 1;
    if (character === quote) break;
    if (character === '\\') bytes.push(escape());
    else if (character === '"' || character === '/' || character === '|') bytes.push(Buffer.from(character));
    else throw syntaxError(input, start, `the text in ${quote} quotes does not end`);
  }
  return { text: decodeUtf8(Buffer.concat(bytes), input, start), end: position };
}

function decodeUtf8(bytes: Buffer, input: string, start: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw syntaxError(input, start, 'the quoted text is not UTF-8, and no name or label is');
  }
}

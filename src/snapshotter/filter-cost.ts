/** How large a regular expression becomes when compiled, found without compiling it. */

/** A Unicode class like \pL is hundreds of ranges. */
const UNICODE_CLASS_COST = 40;

const REPETITION = /\{(\d{1,9})(,(\d{0,9}))?\}/y;
/** `[`, a first `]` that stands for itself, then escapes, named classes, and anything else up to `]`. */
const CLASS = /\[\^?\]?(?:\\.|\[:[^\]]*:\]|[^\]\\])*\]?/suy;
const LITERAL_RUN = /\\Q(?:(?!\\E).)*(?:\\E)?/suy;
const ESCAPE = /\\(?:[pP](?:\{[^}]*\}?|.)?|.)?/suy;
const GROUP_HEAD = /\((?:\?(?:P?<[^>]*>|[A-Za-z-]*:?))?/uy;
const UNICODE_CLASS = /\\[pP]/g;

/**
 * An upper bound, roughly, of the number of instructions of the compiled pattern. Malformed patterns get some
 * number too; the compiler refuses them.
 */
export function patternCost(pattern: string): number {
  /** What each open group costs so far, outermost first. */
  const outer: number[] = [];
  let sum = 0;
  /** The cost of the atom that a repetition would repeat; it is in `sum` already. */
  let atom = 0;
  let position = 0;

  function take(token: RegExp): RegExpExecArray | null {
    token.lastIndex = position;
    const match = token.exec(pattern);
    if (match !== null) position += match[0].length;
    return match;
  }

  function add(cost: number): void {
    atom = cost;
    sum += cost;
  }

  while (position < pattern.length) {
    const repetition = take(REPETITION);
    if (repetition !== null) {
      const [, least = '0', , most = ''] = repetition;
      const times = Math.max(1, Number(least), Number(most));
      sum += atom * (times - 1) + 1;
      atom *= times;
      continue;
    }
    const run = take(LITERAL_RUN) ?? take(CLASS) ?? take(ESCAPE);
    if (run !== null) {
      const [text] = run;
      const classes = text.startsWith('\\Q') ? 0 : (text.match(UNICODE_CLASS)?.length ?? 0);
      add((text.startsWith('\\Q') ? text.length : 1) + classes * UNICODE_CLASS_COST);
    } else if (take(GROUP_HEAD) !== null) {
      outer.push(sum);
      sum = 2;
      atom = 0;
    } else if (pattern[position] === ')') {
      position += 1;
      const group = sum;
      sum = outer.pop() ?? 0;
      add(group);
    } else {
      position += 1;
      add(1);
    }
  }
  return outer.reduce((total, open) => total + open, sum);
}

/** How large a caller wants a snapshot's device. */
import { DmthinError } from '../base/errors.ts';
import { parseSize, type Bytes } from '../base/units.ts';
import { MAX_SIZE_LABEL } from './context.ts';
import type { Labels } from './snapshotter.ts';

/** @returns undefined when the labels do not say. @throws invalid_argument when what they say is no size. */
export function requestedSize(op: string, labels: Labels): Bytes | undefined {
  const text = labels[MAX_SIZE_LABEL];
  if (text === undefined) return undefined;
  const size = parseSize(text);
  if (size !== undefined && size > 0) return size;
  throw new DmthinError('invalid_argument', {
    op,
    what: `the label ${MAX_SIZE_LABEL} is ${JSON.stringify(text.slice(0, 100))}, not a size`,
    nextStep: 'write a size such as "20GB" or a number of bytes',
  });
}

/** Bounds on what callers may name things. */
import { DmthinError } from '../base/errors.ts';
import type { Labels } from './snapshotter.ts';

/** containerd's limit: key and value of a label together, in UTF-8 bytes. */
export const MAX_LABEL_BYTES = 4096;
/** Our store's limit for a snapshot's key or name, in UTF-8 bytes. */
export const MAX_KEY_BYTES = 1024;

const SHOWN_CHARACTERS = 64;

/** @throws invalid_argument naming the first label that is too large. */
export function validateLabels(labels: Labels, op: string): void {
  for (const [key, value] of Object.entries(labels)) {
    const size = Buffer.byteLength(key) + Buffer.byteLength(value);
    if (size > MAX_LABEL_BYTES) {
      throw new DmthinError('invalid_argument', {
        op,
        what: `the label ${shown(key)} has ${size} bytes, key and value together, more than ${MAX_LABEL_BYTES}`,
      });
    }
  }
}

/**
 * Checks the key or name of a snapshot, which is otherwise opaque to us.
 * @param role what the caller calls it, for the message: `key`, `name`, `parent`.
 * @throws invalid_argument when empty, longer than {@link MAX_KEY_BYTES}, or with a NUL character.
 */
export function validateKey(key: string, op: string, role = 'key'): void {
  if (key === '') throw new DmthinError('invalid_argument', { op, what: `the ${role} is empty` });
  const size = Buffer.byteLength(key);
  if (size > MAX_KEY_BYTES) {
    throw new DmthinError('invalid_argument', {
      op,
      what: `the ${role} ${shown(key)} has ${size} bytes, more than ${MAX_KEY_BYTES}`,
    });
  }
  if (key.includes('\0')) {
    throw new DmthinError('invalid_argument', { op, what: `the ${role} ${shown(key)} has a NUL character` });
  }
}

function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text);
}

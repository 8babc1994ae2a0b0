/** Protobuf bytes to messages and back. */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { DmthinError } from '../base/errors.ts';

/**
 * Decodes what a peer sent. Unknown fields are dropped: later versions of containerd may add some.
 * @throws `code` when the bytes are not such a message (truncated, malformed, strings that are not UTF-8).
 */
export function decode<D extends DescMessage>(
  schema: D,
  body: Uint8Array,
  op: string,
  code: 'invalid_argument' | 'internal' = 'invalid_argument',
): MessageShape<D> {
  try {
    return fromBinary(schema, body, { readUnknownFields: false });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new DmthinError(
      code,
      { op, what: `the ${body.byteLength} bytes received are no valid ${schema.typeName}: ${why}` },
      error,
    );
  }
}

export function encode<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Buffer {
  const body = toBinary(schema, create(schema, init));
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

/** The messages of a List stream. */
import type { SnapshotInfo } from '../snapshotter/snapshotter.ts';
import { encode } from './codec.ts';
import { infoToWire } from './convert.ts';
import { ListSnapshotsResponseSchema } from './gen/containerd/services/snapshots/v1/snapshots_pb.ts';
import { MAX_MESSAGE_BYTES } from './limits.ts';

/** containerd's page size. */
const MAX_PAGE_LENGTH = 100;

/**
 * Encodes pages as they come. A page with too many snapshots, or with labels so large that the message would pass
 * the limit (the caller could then never list at all), is halved until it fits.
 */
export async function* encodePages(pages: AsyncIterable<readonly SnapshotInfo[]>): AsyncGenerator<Buffer> {
  for await (const page of pages) {
    if (page.length > 0) yield* encodePage(page);
  }
}

function* encodePage(page: readonly SnapshotInfo[]): Generator<Buffer> {
  if (page.length <= MAX_PAGE_LENGTH) {
    const message = encode(ListSnapshotsResponseSchema, { info: page.map(infoToWire) });
    if (message.byteLength <= MAX_MESSAGE_BYTES || page.length === 1) {
      yield message;
      return;
    }
  }
  const middle = Math.ceil(page.length / 2);
  yield* encodePage(page.slice(0, middle));
  yield* encodePage(page.slice(middle));
}

/** Bounded concurrency over a list or a stream of items. */

/**
 * Runs `body` for every item, at most `limit` at a time. A body that throws stops no other;
 * @throws AggregateError with all errors when any body threw.
 */
export async function forEachLimit<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  body: (item: T) => Promise<void>,
): Promise<void> {
  const errors: unknown[] = [];
  const running = new Set<Promise<void>>();
  for await (const item of items) {
    const run: Promise<void> = body(item)
      .catch((error: unknown) => void errors.push(error))
      .finally(() => running.delete(run));
    running.add(run);
    if (running.size >= limit) await Promise.race(running);
  }
  await Promise.all(running);
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} of the bodies failed`);
}

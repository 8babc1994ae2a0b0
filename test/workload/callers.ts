/** Many callers at once. */
import { runCaller, type Workload } from './caller.ts';
import type { Random } from './random.ts';

/** Ends when all of them have: one that fails is the end for all, but nothing of theirs stays mounted. @throws AggregateError */
export async function runCallers(count: number, random: Random, workload: Workload): Promise<void> {
  let failing = false;
  const shared = { ...workload, ending: () => failing || workload.ending() };
  const callers = Array.from({ length: count }, async (_, index) => {
    try {
      await runCaller(`${index}`, random.fork(`caller ${index}`), shared);
    } catch (error) {
      failing = true;
      throw error;
    }
  });
  const failures = (await Promise.allSettled(callers)).flatMap((one) =>
    one.status === 'rejected' ? [one.reason as unknown] : [],
  );
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
}

/** What was thrown, with all that was thrown while it was being dealt with. */
export function allWords(error: unknown): string {
  if (error instanceof SuppressedError) {
    const { error: last, suppressed: first } = error as { error: unknown; suppressed: unknown };
    return `${allWords(first)}\nthen: ${allWords(last)}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

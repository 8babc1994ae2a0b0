/** Latency of the operations against the daemon's own socket, for a first look: median and p95 of sequential calls. */
import { createNode } from '../guest/node.ts';

const N = Number(process.argv[2] ?? 50);

function summarize(name: string, times: number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? NaN).toFixed(2);
  console.log(
    `${name.padEnd(28)} p10 ${at(0.1).padStart(8)} p25 ${at(0.25).padStart(8)} p50 ${at(0.5).padStart(8)} ms   p95 ${at(0.95).padStart(8)} ms   n ${sorted.length}`,
  );
}

async function measure(
  name: string,
  count: number,
  body: (index: number) => Promise<unknown>,
): Promise<void> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const start = performance.now();
    await body(index);
    times.push(performance.now() - start);
  }
  summarize(name, times);
}

await using node = await createNode();
await using serving = await node.serve();
const { client } = serving;
await client.prepare('l', '');
await client.commit('layer', 'l');
for (let i = 0; i < 2 * N; i += 1) {
  await client.prepare(`warm${i}`, 'layer');
  await client.remove(`warm${i}`);
}
await measure('prepare with parent', N, (i) => client.prepare(`p${i}`, 'layer'));
await measure('prepare without parent', N, (i) => client.prepare(`q${i}`, ''));
await measure('view', N, (i) => client.view(`v${i}`, 'layer'));
await measure('stat', N, (i) => client.stat(`p${i}`));
await measure('mounts', N, (i) => client.mounts(`p${i}`));
await measure('usage (active)', N, (i) => client.usage(`p${i}`));
await measure('commit', N, (i) => client.commit(`c${i}`, `q${i}`));
await measure('remove (active)', N, (i) => client.remove(`p${i}`));
await measure('remove (committed)', N, (i) => client.remove(`c${i}`));
await measure('remove (view)', N, (i) => client.remove(`v${i}`));
const start = performance.now();
await Promise.all(
  Array.from({ length: 32 }, async (_, w) => {
    for (let i = w; i < 100; i += 32) await client.prepare(`x${i}`, 'layer');
  }),
);
console.log(`100 prepares, 32 callers: ${(100000 / (performance.now() - start)).toFixed(0)}/s`);
const start2 = performance.now();
await Promise.all(
  Array.from({ length: 32 }, async (_, w) => {
    for (let i = w; i < 100; i += 32) await client.remove(`x${i}`);
  }),
);
console.log(`100 removes, 32 callers: ${(100000 / (performance.now() - start2)).toFixed(0)}/s`);

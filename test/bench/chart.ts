/** The chart of the README: bars of p50 for the built-in snapshotter and dmthin, drawn from the rows. Pure. */
import { OPERATIONS, type Row, type Target } from './rows.ts';

const BAR_HEIGHT = 14;
const GROUP_HEIGHT = 2 * BAR_HEIGHT + 14;
const LABEL_WIDTH = 230;
const BARS_WIDTH = 420;
const VALUE_WIDTH = 90;
const TOP = 56;
const COLORS = { builtin: '#9aa4b2', dmthin: '#2563eb' } as const satisfies Partial<Record<Target, string>>;
const BOTH = ['builtin', 'dmthin'] as const;

/** Operations of one caller that both have. Each pair of bars is scaled to its own longer bar, and says its figures. */
export function drawChart(rows: readonly Row[], caption: string): string {
  const groups = OPERATIONS.flatMap((operation) => {
    const of = (target: Target): Row | undefined =>
      rows.find((row) => row.operation === operation && row.callers === 1 && row.target === target);
    const [builtin, dmthin] = [of('builtin'), of('dmthin')];
    return builtin === undefined || dmthin === undefined ? [] : [{ operation, builtin, dmthin }];
  });
  const height = TOP + groups.length * GROUP_HEIGHT + 8;
  const width = LABEL_WIDTH + BARS_WIDTH + VALUE_WIDTH;
  const bars = groups.flatMap(({ operation, ...both }, index) => {
    const y = TOP + index * GROUP_HEIGHT;
    const longest = Math.max(both.builtin.p50Ms, both.dmthin.p50Ms);
    return [
      text(LABEL_WIDTH - 10, y + BAR_HEIGHT + 4, operation, 'end'),
      ...BOTH.flatMap((target, row) => {
        const { p50Ms } = both[target];
        const length = Math.max(1, (p50Ms / longest) * BARS_WIDTH);
        const top = y + row * BAR_HEIGHT;
        return [
          `<rect x="${LABEL_WIDTH}" y="${top}" width="${length.toFixed(1)}" height="${BAR_HEIGHT - 2}" rx="2" fill="${COLORS[target]}"/>`,
          text(LABEL_WIDTH + length + 6, top + 10, `${p50Ms < 10 ? p50Ms.toFixed(1) : p50Ms.toFixed(0)} ms`),
        ];
      }),
    ];
  });
  const legend = BOTH.flatMap((target, index) => {
    const x = LABEL_WIDTH + index * 190;
    const label = target === 'builtin' ? 'built-in devmapper' : 'dmthin';
    return [
      `<rect x="${x}" y="30" width="12" height="12" rx="2" fill="${COLORS[target]}"/>`,
      text(x + 18, 40, label),
    ];
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#ffffff"/>
${[text(LABEL_WIDTH, 18, caption), ...legend, ...bars].join('\n')}
</svg>
`;
}

function text(x: number, y: number, words: string, anchor: 'start' | 'end' = 'start'): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}" fill="#1f2937">${escaped}</text>`;
}

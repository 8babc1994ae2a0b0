/** What `npm run power-cut` and the program that it runs in the guest are both told. */
export const OPTIONS = {
  seed: { type: 'string' },
  operations: { type: 'string' },
  between: { type: 'string' },
  states: { type: 'string' },
  mutant: { type: 'string' },
} as const;

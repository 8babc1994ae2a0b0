/** Steps for people: one line each with its time, what it printed below it, and the log when it fails. */
import { styleText } from 'node:util';

export interface Steps {
  /** Runs `body`; a string that it returns is shown below the step. @throws what `body` throws. */
  run(title: string, body: () => Promise<unknown>): Promise<void>;
  /** Lines below the step before. */
  show(text: string): void;
}

export function createSteps(stream: NodeJS.WriteStream): Steps {
  const style = (format: 'green' | 'red' | 'dim' | 'bold', text: string): string =>
    styleText(format, text, { stream });

  function show(text: string): void {
    const lines = text.trimEnd().split('\n');
    stream.write(`${lines.map((line) => style('dim', `      ${line}`)).join('\n')}\n`);
  }

  return {
    show,
    async run(title, body) {
      const startedAt = performance.now();
      const line = (mark: string): string =>
        `  ${mark} ${title.padEnd(68)} ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s\n`;
      try {
        const text = await body();
        stream.write(line(style('green', '✔')));
        if (typeof text === 'string' && text.trim() !== '') show(text);
      } catch (error) {
        stream.write(line(style('red', '✖')));
        throw error;
      }
    },
  };
}

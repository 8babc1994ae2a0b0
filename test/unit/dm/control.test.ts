import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { openControl } from '../../../src/dm/control.ts';

describe('the control node', () => {
  let root: string;
  let misc: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dmthin-control-'));
    misc = join(root, 'misc');
  });
  afterEach(() => rm(root, { recursive: true }));

  async function refusal(): Promise<DmthinError> {
    const error: unknown = await openControl(root, misc).then(
      () => assert.fail('opened'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof DmthinError);
    assert.equal(error.code, 'unsupported');
    return error;
  }

  it('is opened where it is', async () => {
    await mkdir(join(root, 'mapper'));
    await writeFile(join(root, 'mapper/control'), '');
    await (await openControl(root, misc)).close();
  });

  it('is missing because the driver is', async () => {
    await writeFile(misc, '235 autofs\n237 loop-control\n');
    const error = await refusal();
    assert.equal(error.detail.what, 'the kernel has no device-mapper');
    assert.equal(error.detail.nextStep, 'load it: modprobe dm_thin_pool');
  });

  it('is missing although the driver is there', async () => {
    await writeFile(misc, '235 autofs\n236 device-mapper\n');
    const error = await refusal();
    assert.match(error.detail.what, /has device-mapper, but there is no .*mapper\/control$/);
    assert.match(error.detail.nextStep ?? '', /devtmpfs/);
  });
});

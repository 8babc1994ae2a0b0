import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { errnoNumber } from '../../../src/dm/errno.ts';
import { openIoctlPort } from '../../../src/dm/ioctl-port.ts';

/** Any file answers it: how many bytes are left to read, as an int. */
const FIONREAD = 0x541b;
const DM_VERSION = 0xc138_fd00;

describe('the ioctl port', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dmthin-port-'));
    await writeFile(join(directory, 'file'), 'hello');
  });
  after(() => rm(directory, { recursive: true }));

  it('gives each of many calls its own errno and its own answer', async () => {
    const [file, empty] = [await openIoctlPort(join(directory, 'file')), await openIoctlPort('/dev/null')];
    const outcomes = await Promise.all(
      Array.from({ length: 400 }, async (_, index) => {
        const buffer = Buffer.alloc(312);
        const lane = index % 3 === 0 ? 'ask' : 'change';
        if (index % 2 === 0) return [await file.call(FIONREAD, buffer, lane), buffer.readInt32LE(0)];
        return [await empty.call(DM_VERSION, buffer, lane), buffer.readInt32LE(0)];
      }),
    );
    for (const [index, outcome] of outcomes.entries()) {
      assert.deepEqual(outcome, index % 2 === 0 ? [0, 5] : [errnoNumber('ENOTTY'), 0]);
    }
    await Promise.all([file.close(), empty.close()]);
  });

  it('ends its calls before it closes, and takes none after', async () => {
    const port = await openIoctlPort(join(directory, 'file'));
    const buffers = Array.from({ length: 50 }, () => Buffer.alloc(312));
    const calls = buffers.map((buffer) => port.call(FIONREAD, buffer, 'change'));
    await port.close();
    assert.deepEqual(await Promise.all(calls), Array<number>(50).fill(0));
    await assert.rejects(port.call(FIONREAD, Buffer.alloc(312), 'ask'), DmthinError);
    await port.close();
  });
});

/** What runs on the thread is held by the contract on the real kernel; here, its failures. */
import assert from 'node:assert/strict';
import { type FileHandle, open } from 'node:fs/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { dmName } from '../../../src/base/units.ts';
import type { DmClient } from '../../../src/dm/client.ts';
import { type SequenceData, withSequences } from '../../../src/dm/sequences.ts';
import { createFakeDmClient, createFakeKernel, type FakeKernel } from '../../fakes/dm-client.ts';
import { errorLine } from '../../contract/dm-fixture.ts';

const NAME = dmName('one');
const OPTIONS = { uuid: '', table: [errorLine(8)] };

describe('sequences on a thread', () => {
  let kernel: FakeKernel;
  let other: DmClient;
  let file: FileHandle;
  const logged: string[] = [];
  const log = { ...silentLog, error: (_: object, message: string) => logged.push(message) };

  beforeEach(async () => {
    kernel = createFakeKernel();
    other = createFakeDmClient(kernel);
    // Open, and no device-mapper: every ioctl is refused.
    file = await open('/dev/null', 'r+');
    logged.length = 0;
  });
  afterEach(() => file.close());

  const isRefusal = (error: unknown): boolean => {
    assert.ok(error instanceof DmthinError);
    assert.deepEqual([error.code, error.detail.errno, error.detail.device], ['internal', 'ENOTTY', NAME]);
    return true;
  };

  it('bring the kernel’s refusal back whole, to each its own', async () => {
    const client = withSequences(other, { controlFd: file.fd, paths: {} }, log);
    const asked = [client.create(NAME, OPTIONS), client.messageUnlessPresent(dmName('pool'), 'x', NAME)];
    for (const answer of asked) await assert.rejects(answer, isRefusal);
    await client.close();
  });

  it('are answered before the client is closed', async () => {
    const client = withSequences(other, { controlFd: file.fd, paths: {} }, log);
    const asked = assert.rejects(client.create(NAME, OPTIONS), isRefusal);
    await client.close();
    await asked;
  });

  it('leave everything else to the client below', async () => {
    const client = withSequences(other, { controlFd: file.fd, paths: {} }, log);
    await other.create(NAME, OPTIONS);
    assert.equal((await client.info(NAME))?.live, true);
    assert.equal(await client.remove(NAME), 'removed');
    await client.close();
  });

  it('fail when the thread dies, and those that come later do without it', async () => {
    const broken = undefined as unknown as SequenceData;
    const client = withSequences(other, broken, log);
    await assert.rejects(client.create(NAME, OPTIONS), (error) => error instanceof DmthinError);
    assert.deepEqual(logged.length, 1);
    assert.equal((await client.create(NAME, OPTIONS)).live, true);
    assert.equal(await client.messageUnlessPresent(dmName('pool'), 'create_thin 1', NAME), undefined);
    await client.close();
  });
});

/** What only a scripted kernel shows; everything else is in test/contract. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DmthinError, hasCode } from '../../../src/base/errors.ts';
import { dmName, sectors } from '../../../src/base/units.ts';
import type { DmClient } from '../../../src/dm/client.ts';
import { createDeviceNodes, type DeviceNodes } from '../../../src/dm/device-nodes.ts';
import { errnoNumber } from '../../../src/dm/errno.ts';
import { COMMAND, FLAG, UDEV_FLAGS } from '../../../src/dm/ioctl-abi.ts';
import { encodeTable } from '../../../src/dm/ioctl-codec.ts';
import { createIoctlClient } from '../../../src/dm/ioctl-client.ts';

const NAME = dmName('subject');
const TABLE = [{ start: sectors(0), length: sectors(8), target: 'error', params: '' }];
const OPTIONS = { uuid: 'DMTHIN-1', table: TABLE };

const COMMANDS = new Map<number, string>(Object.entries(COMMAND).map(([name, number]) => [number, name]));

interface Call {
  readonly command: string;
  readonly flags: number;
  readonly eventNr: number;
  readonly bytes: number;
}

/** A client on a kernel that answers 0 with the request unchanged, unless `answer` says otherwise. */
function scripted(
  answer: (command: string, buffer: Buffer, count: number) => string | undefined,
  nodes: Partial<DeviceNodes> = {},
): { readonly client: DmClient; readonly calls: Call[] } {
  const calls: Call[] = [];
  const port = {
    call(command: number, buffer: Buffer) {
      const name = COMMANDS.get(command) ?? String(command);
      calls.push({
        command: name,
        flags: buffer.readUInt32LE(28),
        eventNr: buffer.readUInt32LE(32),
        bytes: buffer.readUInt32LE(12),
      });
      const errno = answer(name, buffer, calls.length);
      return Promise.resolve(errno === undefined ? 0 : (errnoNumber(errno) ?? assert.fail(errno)));
    },
    close: () => Promise.resolve(),
  };
  const none: DeviceNodes = {
    ...createDeviceNodes(),
    ensure: () => undefined,
    forget: () => undefined,
    ...nodes,
  };
  return { client: createIoctlClient(port, none), calls };
}

const commandsOf = (calls: readonly Call[]) => calls.map(({ command }) => command);

describe('the ioctl client', () => {
  it('creates in three calls and sends udev flags only where the kernel passes them on', async () => {
    const { client, calls } = scripted(() => undefined);
    await client.create(NAME, OPTIONS);
    await client.remove(NAME, { deferred: true });
    assert.deepEqual(
      calls.map(({ command, flags, eventNr }) => [command, flags, eventNr]),
      [
        ['create', 0, 0],
        ['load', 0, 0],
        ['suspend', 0, UDEV_FLAGS],
        ['remove', FLAG.deferredRemove, UDEV_FLAGS],
      ],
    );
  });

  it('sends the flags that were asked for', async () => {
    const { client, calls } = scripted(() => undefined);
    await client.load(NAME, TABLE, { readOnly: true });
    await client.suspend(NAME);
    await client.suspend(NAME, { noFlush: true, skipLockfs: true });
    await client.status(NAME);
    await client.status(NAME, { noFlush: false });
    await client.table(NAME);
    assert.deepEqual(
      calls.map(({ flags }) => flags),
      [
        FLAG.readOnly,
        FLAG.suspend,
        FLAG.suspend | FLAG.noFlush | FLAG.skipLockfs,
        FLAG.noFlush,
        0,
        FLAG.statusTable,
      ],
    );
  });

  it('asks again with more room until the answer fits', async () => {
    const line = encodeTable(TABLE);
    const { client, calls } = scripted((_command, buffer, count) => {
      if (count < 3) buffer.writeUInt32LE(FLAG.bufferFull, 28);
      else {
        buffer.writeUInt32LE(1, 20);
        line.copy(buffer, 312);
      }
      return undefined;
    });
    assert.deepEqual(await client.status(NAME), TABLE);
    assert.deepEqual(
      calls.map(({ bytes }) => bytes - 312),
      [16_384, 65_536, 262_144],
    );
  });

  it('gives up on an answer without end', async () => {
    const { client, calls } = scripted((_command, buffer) => {
      buffer.writeUInt32LE(FLAG.bufferFull, 28);
      return undefined;
    });
    await assert.rejects(client.list(), (error) => hasCode(error, 'internal'));
    assert.equal(calls.length, 6);
  });

  it('never sends a message twice', async () => {
    const { client, calls } = scripted((_command, buffer) => {
      buffer.writeUInt32LE(FLAG.activePresent | FLAG.bufferFull, 28);
      return undefined;
    });
    await assert.rejects(client.message(NAME, 'hello'), (error) => hasCode(error, 'internal'));
    assert.equal(calls.length, 1);
  });

  it('takes only ENXIO for absent', async () => {
    assert.equal(await scripted(() => 'ENXIO').client.info(NAME), undefined);
    await assert.rejects(scripted(() => 'ENOMEM').client.info(NAME), (error) => {
      assert.ok(error instanceof DmthinError);
      assert.deepEqual([error.code, error.detail.errno, error.detail.device], ['internal', 'ENOMEM', NAME]);
      return true;
    });
  });

  it('removes a half-made device whichever step failed', async () => {
    const refused = (step: string) => (command: string) => (command === step ? 'ENOMEM' : undefined);
    for (const [step, commands] of [
      ['create', ['create']],
      ['load', ['create', 'load', 'remove']],
      ['suspend', ['create', 'load', 'suspend', 'remove']],
    ] as const) {
      const { client, calls } = scripted(refused(step));
      await assert.rejects(client.create(NAME, OPTIONS), /ENOMEM/);
      assert.deepEqual(commandsOf(calls), commands);
    }
    const noNode = () => {
      throw new DmthinError('unsupported', { op: 'node', what: 'no devtmpfs' });
    };
    const { client, calls } = scripted(() => undefined, { ensure: noNode });
    await assert.rejects(client.create(NAME, OPTIONS), (error) => hasCode(error, 'unsupported'));
    assert.deepEqual(commandsOf(calls), ['create', 'load', 'suspend', 'remove']);
  });

  it('says so when the half-made device stays', async () => {
    const { client } = scripted((command) => ({ load: 'ENODATA', remove: 'EBUSY' })[command]);
    await assert.rejects(client.create(NAME, OPTIONS), (error) => {
      assert.ok(error instanceof DmthinError);
      assert.deepEqual([error.code, error.detail.errno], ['not_found', 'ENODATA']);
      assert.match(error.message, /the half-made device stays: .*EBUSY/);
      return true;
    });
  });

  it('does not mind when the half-made device is gone already', async () => {
    const { client } = scripted((command) => ({ load: 'ENODATA', remove: 'ENXIO' })[command]);
    await assert.rejects(client.create(NAME, OPTIONS), (error) => {
      assert.ok(error instanceof DmthinError);
      assert.equal(error.detail.what, 'cannot load the table');
      return true;
    });
  });

  it('forgets the link only after the kernel has removed the device', async () => {
    const forgotten: string[] = [];
    const forget: DeviceNodes['forget'] = (name) => {
      forgotten.push(name);
    };
    const busy = scripted(() => 'EBUSY', { forget });
    await assert.rejects(busy.client.remove(NAME), (error) => hasCode(error, 'busy'));
    assert.deepEqual(forgotten, []);
    const removed = scripted(() => undefined, { forget });
    assert.equal(await removed.client.remove(NAME), 'removed');
    assert.deepEqual(forgotten, [NAME]);
  });
});

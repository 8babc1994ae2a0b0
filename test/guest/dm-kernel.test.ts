/** What the device-mapper contract cannot ask of a fake: entries in /dev/mapper, and calls that block. */
import assert from 'node:assert/strict';
import { open, readdir, readFile, readlink, symlink } from 'node:fs/promises';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProcess } from '../../src/base/process.ts';
import { type DmName, dmName, sectors } from '../../src/base/units.ts';
import { type DmClient, devicePath, type DmLine } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { linearTable } from '../../src/dm/tables.ts';
import { createLoopDevices, type LoopDevices } from './loop-devices.ts';

const LINE: DmLine = { start: sectors(0), length: sectors(8), target: 'error', params: '' };
const OPTIONS = { uuid: 'DMTHIN-kernel-test', table: [LINE] };
/** More than any transport does at once. */
const UPPERS = 10;
const TIMEOUT_MS = 120_000;

const nameOf = (suffix: string): DmName => dmName(`dmthin-kernel-${suffix}`);

async function entries(): Promise<string[]> {
  return (await readdir('/dev/mapper')).filter((entry) => entry.startsWith('dmthin-kernel-'));
}

async function entry(name: DmName): Promise<string | undefined> {
  return readlink(devicePath(name)).catch(() => undefined);
}

for (const transport of ['ioctl', 'dmsetup'] as const) {
  describe(`the ${transport} transport on the kernel`, () => {
    const name = nameOf(transport);
    let dm: DmClient;
    let loops: LoopDevices;

    before(async () => {
      dm = await openDmClient(transport, { run: runProcess });
      loops = await createLoopDevices();
    });
    afterEach(async () => {
      if ((await dm.info(name)) !== undefined) await dm.remove(name);
    });
    after(async () => {
      await dm.close();
      await loops[Symbol.asyncDispose]();
    });

    it('links a device, and takes the link away with it', async () => {
      const { minor } = await dm.create(name, OPTIONS);
      assert.equal(await entry(name), `../dm-${minor}`);
      await dm.remove(name);
      assert.equal(await entry(name), undefined);
      assert.deepEqual(await entries(), []);
    });

    it('replaces a stale link', async () => {
      await symlink('../dm-999', devicePath(name));
      const { minor } = await dm.create(name, OPTIONS);
      assert.equal(await entry(name), `../dm-${minor}`);
    });

    it('leaves no link of a device that it could not make', async () => {
      await assert.rejects(dm.create(name, { ...OPTIONS, table: [{ ...LINE, target: 'nonsense' }] }));
      assert.deepEqual(await entries(), []);
    });

    it('takes the link away when the removal is put off', { timeout: TIMEOUT_MS }, async () => {
      await dm.create(name, OPTIONS);
      const holder = await open(devicePath(name), 'r');
      assert.equal(await dm.remove(name, { deferred: true }), 'deferred');
      assert.equal(await entry(name), undefined);
      await dm.resume(name);
      assert.equal(await entry(name), undefined);
      await holder.close();
      // The kernel removes it from a work queue, a moment after the last close.
      while ((await dm.info(name)) !== undefined) await sleep(10);
    });

    it('asks and changes while suspends wait', { timeout: TIMEOUT_MS }, async () => {
      const disk = await loops.attach(1024 ** 2);
      const lower = nameOf(`${transport}-lower`);
      const uppers = Array.from({ length: UPPERS }, (_, index) => nameOf(`${transport}-upper-${index}`));
      const linear = (device: string) => [linearTable(sectors(2048), device)];
      await dm.create(lower, { uuid: '', table: linear(disk) });
      const infos = await Promise.all(
        uppers.map((upper) => dm.create(upper, { uuid: '', table: linear(devicePath(lower)) })),
      );
      // A suspended device keeps reads waiting, and whoever suspends a device above it waits for them.
      await dm.suspend(lower, { noFlush: true, skipLockfs: true });
      const reads = uppers.map((upper) =>
        runProcess('dd', [`if=${devicePath(upper)}`, 'of=/dev/null', 'count=1', 'skip=1024']),
      );
      for (const { minor } of infos) await readInFlight(minor);
      let suspended = 0;
      const suspends = uppers.map(async (upper) => {
        await dm.suspend(upper);
        suspended += 1;
      });

      assert.equal((await dm.info(lower))?.suspended, true);
      assert.ok((await dm.list()).length > UPPERS);
      assert.equal(suspended, 0);
      await dm.resume(lower);
      await Promise.all([...suspends, ...reads]);
      assert.equal(suspended, UPPERS);
      await Promise.all(uppers.map((upper) => dm.remove(upper)));
      await dm.remove(lower);
    });
  });
}

/** Resolves when the kernel has passed a read on to the device. */
async function readInFlight(minor: number): Promise<void> {
  for (;;) {
    const [reads] = (await readFile(`/sys/block/dm-${minor}/inflight`, 'utf8')).trim().split(/\s+/);
    if (Number(reads) > 0) return;
    await sleep(10);
  }
}

/**
 * Snapshots made, mounted and removed again and again beside udevd: nothing is ever busy, nothing is read that is gone, and
 * each link is there when its call returns. `npm run udev-cycles` does a thousand.
 */
import assert from 'node:assert/strict';
import { existsSync, readlinkSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hasCode } from '../../src/base/errors.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import type { DmClient } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { createLoopDevices } from './loop-devices.ts';
import { createNode, MiB, mounted } from './node.ts';
import { noUdevd, startUdevd } from './udevd.ts';

const CYCLES = Number(process.env['DMTHIN_UDEV_CYCLES'] ?? 100);
const LANES = 4;
const MOUNTED_EVERY = 5;

/** Lines of the kernel's log from now on. */
async function watchKernelLog(): Promise<() => Promise<string[]>> {
  const read = async (): Promise<string[]> =>
    (await runChecked(runProcess, 'dmesg', ['--notime'])).split('\n');
  // A mark: the log is a ring, so that a count of lines would not do.
  const mark = `dmthin test ${process.pid} ${performance.now()}`;
  await writeFile('/dev/kmsg', mark);
  return async () => {
    const lines = await read();
    return lines.slice(lines.findLastIndex((line) => line.includes(mark)) + 1);
  };
}

/** Counts each time that the kernel says EBUSY, also when a second try then succeeds. */
function countingBusy(dm: DmClient): DmClient & { readonly busy: number } {
  let busy = 0;
  return {
    ...dm,
    get busy() {
      return busy;
    },
    async remove(...args) {
      try {
        return await dm.remove(...args);
      } catch (error) {
        if (hasCode(error, 'busy')) busy += 1;
        throw error;
      }
    },
  };
}

describe('snapshots beside udevd', { skip: noUdevd }, () => {
  it(`${CYCLES} cycles: no EBUSY, no I/O error, links there at once and gone at once`, async () => {
    await using udevd = await startUdevd({ ourRule: true });
    await using node = await createNode();
    const dm = countingBusy(await openDmClient('ioctl', { run: runProcess }));
    await using serving = await node.serve({}, { dm });
    const { client } = serving;
    const [base] = await client.prepare('base', '');
    assert.ok(base !== undefined);
    await mounted([base], (directory) => writeFile(join(directory, 'file'), 'content', { flush: true }));
    await client.commit('layer', 'base');
    await udevd.settle();
    const kernelLog = await watchKernelLog();

    let done = 0;
    const lanes = Array.from({ length: LANES }, async (_, lane) => {
      for (let cycle = 0; done < CYCLES; cycle += 1) {
        done += 1;
        const key = `lane-${lane}-cycle-${cycle}`;
        const mounts = await client.prepare(key, 'layer');
        const [mount] = mounts;
        assert.match(readlinkSync(mount?.source ?? ''), /^\.\.\/dm-\d+$/, key);
        if (cycle % MOUNTED_EVERY === 0) {
          await mounted(mounts, async (directory) =>
            assert.equal(await readFile(join(directory, 'file'), 'utf8'), 'content'),
          );
        }
        await client.remove(key);
        assert.equal(existsSync(mount?.source ?? ''), false, key);
      }
    });
    await Promise.all(lanes);
    await udevd.settle();

    assert.equal(dm.busy, 0, 'a device was held when it was to be removed');
    const errors = (await kernelLog()).filter((line) =>
      /I\/O error|Buffer I\/O|blk_update|lost async page/i.test(line),
    );
    assert.deepEqual(errors, []);
    const left = (await readdir('/dev/mapper')).filter((name) => name.startsWith(`${node.poolName}-`));
    assert.deepEqual(left, []);
    assert.deepEqual((await readFile('/proc/sysvipc/sem', 'utf8')).trimEnd().split('\n').slice(1), []);
  });

  for (const ourRule of [true, false]) {
    it(`${ourRule ? 'our rule keeps' : 'without our rule nothing keeps'} udev from looking inside a device of ours that another program brings up`, async () => {
      await using udevd = await startUdevd({ ourRule });
      await using loops = await createLoopDevices();
      const disk = await loops.attach(16 * MiB);
      await runChecked(runProcess, 'mkfs.ext4', ['-q', disk]);
      const name = `dmthin-rule-${process.pid}`;
      const table = `0 ${(16 * MiB) / 512} linear ${disk} 0`;
      await runChecked(runProcess, 'dmsetup', ['create', name, '--uuid', `DMTHIN-${name}`, '--table', table]);
      try {
        await udevd.settle();
        const columns = ['info', '--columns', '--noheadings', '--options', 'blkdevname', name];
        const node = (await runChecked(runProcess, 'dmsetup', columns)).trim();
        const facts = await runChecked(runProcess, 'udevadm', ['info', '--query=property', `/dev/${node}`]);
        assert.equal(/^ID_FS_TYPE=ext4$/m.test(facts), !ourRule, facts);
        assert.equal(/^DEVLINKS=.*\/dev\/disk\/by-/m.test(facts), !ourRule, facts);
        assert.equal(facts.includes(`/dev/mapper/${name}`), !ourRule, facts);
      } finally {
        await runChecked(runProcess, 'dmsetup', ['remove', '--retry', name]);
      }
    });
  }
});

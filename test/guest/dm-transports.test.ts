/** Both real transports against the real kernel. Needs root and device-mapper: npm run guest -- node --test ... */
import { open } from 'node:fs/promises';
import { devicePath } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { runChecked, runProcess } from '../../src/base/process.ts';
import { describeDmClient } from '../contract/dm-client.contract.ts';
import { createLoopDevices } from './loop-devices.ts';

const METADATA_BYTES = 4 * 1024 ** 2;
const DATA_BYTES = 64 * 1024 ** 2;

const TRANSPORTS = [
  ['ioctl', { transport: 'ioctl' }, { devices: 120, callers: 32 }],
  ['ioctl, sequences on a thread,', { transport: 'ioctl', sequences: true }, { devices: 120, callers: 32 }],
  // A process for every call.
  ['dmsetup', { transport: 'dmsetup' }, { devices: 10, callers: 4 }],
] as const;

for (const [title, { transport, ...options }, many] of TRANSPORTS) {
  describeDmClient(`the ${title} transport keeps the contract`, async () => {
    const loops = await createLoopDevices();
    const metadataDevice = await loops.attach(METADATA_BYTES);
    const dataDevice = await loops.attach(DATA_BYTES);
    return {
      client: await openDmClient(transport, { run: runProcess, ...options }),
      many,
      async freshPoolDevices() {
        await using file = await open(metadataDevice, 'r+');
        await file.write(Buffer.alloc(4096));
        await file.sync();
        return { metadataDevice, dataDevice };
      },
      async hold(name) {
        const file = await open(devicePath(name), 'r');
        return () => file.close();
      },
      async createEmpty(name) {
        await runChecked(runProcess, 'dmsetup', ['create', '--notable', name]);
      },
      async close() {
        await loops[Symbol.asyncDispose]();
      },
    };
  });
}

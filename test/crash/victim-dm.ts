/** The victim's device-mapper clients: the real ones, with a point before and after everything that changes something. */
import { silentLog } from '../../src/base/log.ts';
import { runProcess } from '../../src/base/process.ts';
import type { DmClient } from '../../src/dm/client.ts';
import { openControl } from '../../src/dm/control.ts';
import { createDeviceNodes } from '../../src/dm/device-nodes.ts';
import { COMMAND, FLAG, HEADER, MESSAGE_TEXT } from '../../src/dm/ioctl-abi.ts';
import { createIoctlClient } from '../../src/dm/ioctl-client.ts';
import { createIoctlPort, type IoctlPort, loadKoffi } from '../../src/dm/ioctl-port.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import type { Points } from './points.ts';

/**
 * `ioctl`: points between the single ioctls. `thread`: the client that the daemon opens by itself, which has a thread for
 * sequences of ioctls; points around its calls. `dmsetup`: points around its calls, and at its programs.
 */
export type VictimTransport = 'ioctl' | 'thread' | 'dmsetup';

export async function openVictimDm(transport: VictimTransport, points: Points): Promise<DmClient> {
  if (transport === 'ioctl') {
    const port = createIoctlPort(await loadKoffi(), await openControl('/dev'));
    return createIoctlClient(portWithPoints(port, points), createDeviceNodes());
  }
  const client = await openDmClient(transport === 'thread' ? 'ioctl' : 'dmsetup', {
    run: runProcess,
    log: silentLog,
    sequences: true,
  });
  return clientWithPoints(client, points);
}

function portWithPoints(port: IoctlPort, points: Points): IoctlPort {
  return {
    ...port,
    async call(command, buffer, kind) {
      if (kind === 'ask') return port.call(command, buffer, kind);
      const what = `ioctl ${describe(command, buffer)}`;
      await points.before(what);
      const errno = await port.call(command, buffer, kind);
      await points.after(what);
      return errno;
    },
  };
}

function describe(command: number, buffer: Buffer): string {
  switch (command) {
    case COMMAND.create:
      return 'create';
    case COMMAND.load:
      return 'load';
    case COMMAND.remove:
      return 'remove';
    case COMMAND.suspend:
      return (buffer.readUInt32LE(HEADER.flags) & FLAG.suspend) === 0 ? 'resume' : 'suspend';
    case COMMAND.message: {
      const text = buffer.subarray(HEADER.bytes + MESSAGE_TEXT);
      return text.toString('latin1', 0, text.indexOf(0)).split(' ')[0] ?? '';
    }
    default:
      return command.toString(16);
  }
}

function clientWithPoints(client: DmClient, points: Points): DmClient {
  async function around<T>(call: string, body: () => Promise<T>): Promise<T> {
    await points.before(`dm ${call}`);
    try {
      return await body();
    } finally {
      await points.after(`dm ${call}`);
    }
  }
  return {
    ...client,
    create: (...args) => around('create', () => client.create(...args)),
    load: (...args) => around('load', () => client.load(...args)),
    suspend: (...args) => around('suspend', () => client.suspend(...args)),
    resume: (...args) => around('resume', () => client.resume(...args)),
    remove: (...args) => around('remove', () => client.remove(...args)),
    message: (...args) => around('message', () => client.message(...args)),
    messageUnlessPresent: (...args) => around('message', () => client.messageUnlessPresent(...args)),
  };
}

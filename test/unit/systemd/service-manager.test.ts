import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../../src/base/errors.ts';
import type { Log } from '../../../src/base/log.ts';
import { silentLog } from '../../../src/base/log.ts';
import { chooseSocket, inheritedSockets, listeningPath } from '../../../src/systemd/activation.ts';
import { createNotifier } from '../../../src/systemd/notify.ts';
import { takeServiceManager } from '../../../src/systemd/service-manager.ts';
import { startWatchdog } from '../../../src/systemd/watchdog.ts';
import { openNotifySocket } from '../../fakes/service-manager.ts';

describe('what is told to the service manager', () => {
  it('arrives as one datagram of lines, at a path and in the abstract namespace', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'notify-'));
    t.after(() => rm(directory, { recursive: true }));
    for (const address of [join(directory, 'notify'), `@dmthin-test-${process.pid}`]) {
      using socket = openNotifySocket(address);
      await createNotifier(address).notify({ READY: '1', STATUS: 'two\nlines' });
      assert.deepEqual(socket.take(), [['READY=1', 'STATUS=two lines']]);
    }
  });

  it('that is not to be reached is an error with its errno, which the daemon logs and survives', async () => {
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (_, message) => warnings.push(message) };
    await assert.rejects(
      createNotifier('/nowhere/notify').notify({ READY: '1' }),
      (error) => hasCode(error, 'internal') && error.detail.errno === 'ENOENT',
    );
    await takeServiceManager({ NOTIFY_SOCKET: '/nowhere/notify' }, 1, log).tell({ READY: '1' });
    assert.deepEqual(warnings, ['the service manager could not be told']);
    for (const address of ['vsock:2:1', `/${'x'.repeat(120)}`])
      assert.throws(
        () => createNotifier(address),
        (error) => hasCode(error, 'config'),
      );
  });

  it('is nothing where there is no manager', async () => {
    const manager = takeServiceManager({}, 1, silentLog);
    assert.deepEqual([manager.sockets, manager.watchdogMs], [[], undefined]);
    await manager.tell({ READY: '1' });
  });
});

describe('what the service manager gives', () => {
  it('is taken out of the environment, so that no child thinks it is meant', () => {
    const environment = {
      NOTIFY_SOCKET: '/n',
      WATCHDOG_USEC: '30000000',
      WATCHDOG_PID: '7',
      LISTEN_FDS: '1',
      LISTEN_PID: '8',
      PATH: '/bin',
    };
    const manager = takeServiceManager(environment, 7, silentLog);
    assert.equal(manager.watchdogMs, 30_000);
    assert.deepEqual(manager.sockets, [], 'sockets of process 8');
    assert.deepEqual(environment, { PATH: '/bin' });
  });

  it('a watchdog of another process is none', () => {
    const environment = { NOTIFY_SOCKET: '/n', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' };
    assert.equal(takeServiceManager(environment, 7, silentLog).watchdogMs, undefined);
  });

  it('a socket is known by its inode, and must listen', () => {
    const table = [
      'Num       RefCount Protocol Flags    Type St Inode Path',
      '0000000000000000: 00000002 00000000 00010000 0001 01 111 /run/dmthin/dmthin.sock',
      '0000000000000000: 00000003 00000000 00000000 0001 03 222 /run/other.sock',
      '0000000000000000: 00000002 00000000 00010000 0001 01   333 @abstract',
    ].join('\n');
    assert.equal(listeningPath(table, 111n), '/run/dmthin/dmthin.sock');
    for (const inode of [222n, 333n, 11n]) assert.equal(listeningPath(table, inode), undefined);
  });

  it('descriptors that are no such socket are refused', () => {
    assert.deepEqual(inheritedSockets({ fds: '1', pid: '1' }, 2), []);
    assert.throws(
      () => inheritedSockets({ fds: '1', pid: '1' }, 1),
      (error) => hasCode(error, 'config') || error instanceof Error,
    );
  });

  it('a passed socket is used when it is the configured one, and a contradiction ends the start', () => {
    const a = { fd: 3, path: '/a' };
    const b = { fd: 4, path: '/b' };
    assert.equal(chooseSocket('/a', []), undefined);
    assert.equal(chooseSocket('/b', [a, b]), b);
    assert.equal(chooseSocket('fd://', [a]), a);
    const refused = (address: string, sockets: readonly (typeof a)[], words: RegExp) =>
      assert.throws(
        () => chooseSocket(address, sockets),
        (error) => hasCode(error, 'config') && words.test(error.message),
      );
    refused('/c', [a], /listens at \/a, and the configured address is \/c/);
    refused('fd://', [], /0 sockets were passed.*dmthin\.socket/);
    refused('fd://', [a, b], /2 sockets/);
  });
});

describe('the watchdog', () => {
  /** Runs it until it has probed `rounds` times. */
  async function watch(rounds: number, probe: (round: number, signal: AbortSignal) => Promise<unknown>) {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const reasons: string[] = [];
    let pings = 0;
    let round = 0;
    const end = startWatchdog({
      limitMs: 30,
      probe: (signal) => {
        round += 1;
        if (round > rounds) resolve(undefined);
        return probe(round, signal);
      },
      ping: async () => void (pings += 1),
      log: { ...silentLog, error: (facts) => reasons.push((facts as { reason: string }).reason) },
    });
    await promise;
    await end();
    const pingsAtEnd = pings;
    await sleep(50);
    assert.equal(pings, pingsAtEnd, 'nothing is sent after the end');
    return { pings, reasons };
  }

  it('is fed once for each probe that ends well', async () => {
    const { pings, reasons } = await watch(3, async () => undefined);
    assert.ok(pings >= 3);
    assert.deepEqual(reasons, []);
  });

  it('is not fed by a probe that fails or hangs, and is again by the next that is well', async () => {
    const { pings, reasons } = await watch(3, (round) => {
      if (round === 1) return Promise.reject(new Error('no answer'));
      return round === 2 ? new Promise(() => undefined) : Promise.resolve();
    });
    assert.deepEqual(reasons, ['no answer', 'no answer within 10 ms']);
    assert.ok(pings >= 1);
  });
});

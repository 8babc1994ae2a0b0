/**
 * Waiting for device-mapper's events, on a file descriptor of /dev/mapper/control that is used for nothing else:
 * DM_DEV_ARM_POLL notes how many events there have been on the machine, and poll(2) returns when there are more (kernel
 * 4.13). It does not tell whose: who waits looks at their own device then.
 *
 * INVARIANTS
 * - The wait holds one of libuv's threads. It ends at least once a second, because a process cannot exit while one of its
 *   threads waits in the kernel.
 * - Events between `arm` and `wait` are not missed: `wait` then returns at once.
 */
import { closeSync, writeSync } from 'node:fs';
import type { KoffiFunc } from 'koffi';
import { DmthinError } from '../base/errors.ts';
import { openControl } from './control.ts';
import { errnoError, errnoName } from './errno.ts';
import { COMMAND } from './ioctl-abi.ts';
import { encodeRequest } from './ioctl-codec.ts';
import { createIoctlPort, type Koffi, poolThreads } from './ioctl-port.ts';

export interface DmEvents {
  /** From now on events count. @throws what the kernel answers. */
  arm(): Promise<void>;
  /** Waits for an event since `arm`, for the time to pass or for `close`, whichever is first. */
  wait(timeoutMs: number): Promise<'event' | 'timeout' | 'closed'>;
  /** Ends a wait under way. */
  close(): Promise<void>;
}

const OP = 'wait for device-mapper events';
const LONGEST_WAIT_MS = 1000;
/** With fewer threads, one that waits would be missed. */
const MIN_THREADS = 8;

const POLLIN = 1;
const EFD_CLOEXEC = 0o2000000;
/** struct pollfd: fd s32 @0, events s16 @4, revents s16 @6. */
const POLLFD_BYTES = 8;

/** @returns undefined where libuv's pool is too small to give a thread away. @throws unsupported without device-mapper. */
export async function openDmEvents(koffi: Koffi, dev = '/dev'): Promise<DmEvents | undefined> {
  if (poolThreads() < MIN_THREADS) return undefined;
  const libc = koffi.load(null);
  const libcPoll: KoffiFunc<(fds: Buffer, count: number, timeoutMs: number) => number> = libc.func(
    'int poll(void *fds, ulong count, int timeout)',
  );
  const eventfd: KoffiFunc<(initial: number, flags: number) => number> = libc.func(
    'int eventfd(uint initial, int flags)',
  );
  const file = await openControl(dev);
  const port = createIoctlPort(koffi, file);
  const wakeFd = eventfd(0, EFD_CLOEXEC);
  if (wakeFd < 0) {
    await port.close();
    throw new DmthinError('internal', {
      op: OP,
      what: 'there is no eventfd',
      errno: errnoName(koffi.errno()),
    });
  }
  let closed = false;
  let waiting: Promise<unknown> = Promise.resolve();

  /** Read through a function: it changes while one awaits, which control flow analysis cannot see. */
  const isClosed = (): boolean => closed;

  /** @returns whether there was an event. */
  function poll(timeoutMs: number): Promise<boolean> {
    const fds = Buffer.alloc(2 * POLLFD_BYTES);
    for (const [index, fd] of [file.fd, wakeFd].entries()) {
      fds.writeInt32LE(fd, index * POLLFD_BYTES);
      fds.writeInt16LE(POLLIN, index * POLLFD_BYTES + 4);
    }
    return new Promise((resolve) => {
      libcPoll.async(fds, 2, timeoutMs, () => resolve((fds.readInt16LE(6) & POLLIN) !== 0));
    });
  }

  async function waitFor(timeoutMs: number): Promise<'event' | 'timeout' | 'closed'> {
    for (const until = performance.now() + timeoutMs; ;) {
      if (isClosed()) return 'closed';
      const leftMs = Math.ceil(until - performance.now());
      if (leftMs <= 0) return 'timeout';
      if (await poll(Math.min(leftMs, LONGEST_WAIT_MS))) return isClosed() ? 'closed' : 'event';
    }
  }

  return {
    async arm() {
      const errno = await port.call(COMMAND.armPoll, encodeRequest({}), 'ask');
      if (errno !== 0) throw errnoError(errnoName(errno), { op: OP, what: 'the kernel refuses' });
    },
    wait(timeoutMs) {
      const done = waitFor(timeoutMs);
      waiting = done;
      return done;
    },
    async close() {
      if (closed) return;
      closed = true;
      const one = Buffer.alloc(8);
      one.writeBigUInt64LE(1n);
      writeSync(wakeFd, one);
      await waiting;
      closeSync(wakeFd);
      await port.close();
    },
  };
}

/**
 * The ioctl(2) calls themselves, through koffi.
 *
 * INVARIANTS
 * - Every call runs on a thread of libuv's pool, never on the event loop: suspend and remove can block for seconds. (The
 *   blocking port is for a thread that has no event loop to keep free.)
 * - The kernel reads and writes the buffer while the call runs: `held` keeps it from the garbage collector until then.
 * - koffi sets errno for the duration of the callback only: it is read there and nowhere else.
 * - Calls under way never fill libuv's pool, which files, DNS and the store use too.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { default as KoffiModule, KoffiFunc } from 'koffi';
import { DmthinError, toDmthinError } from '../base/errors.ts';
import { allIdle, createLaneSet, type LaneKind } from './lanes.ts';

export type Koffi = typeof KoffiModule;

export interface IoctlPort {
  /** @returns 0, or the errno; an answer is in `buffer`, which must not be touched until then. */
  call(command: number, buffer: Buffer, kind: LaneKind): Promise<number>;
  /** Waits for the calls under way and closes the file. Later calls are refused. */
  close(): Promise<void>;
}

type Ioctl = KoffiFunc<(fd: number, request: number, argument: Buffer) => number>;

const OP = 'ioctl';
const MAX_IN_FLIGHT = 8;
/** libuv's own default, when UV_THREADPOOL_SIZE says nothing. */
const DEFAULT_POOL_THREADS = 4;

/**
 * Not imported like others: its native part may be missing for this machine, which only ioctl callers need to hear.
 * @throws unsupported
 */
export async function loadKoffi(): Promise<Koffi> {
  try {
    return (await import('koffi')).default;
  } catch (error) {
    throw new DmthinError(
      'unsupported',
      { op: OP, what: 'koffi does not load on this machine', nextStep: 'set transport = "dmsetup"' },
      error,
    );
  }
}

/** A port to the file at `path`. @throws unsupported; what open(2) answered, as Node reports it. */
export async function openIoctlPort(path: string): Promise<IoctlPort> {
  const koffi = await loadKoffi();
  return createIoctlPort(koffi, await open(path, 'r+'));
}

/**
 * Takes over the open file.
 * @param threads size of libuv's pool; the port uses half of it at most, but three threads at least.
 */
export function createIoctlPort(koffi: Koffi, file: FileHandle, threads = poolThreads()): IoctlPort {
  const ioctl = declareIoctl(koffi);
  const lanes = createLaneSet(Math.min(MAX_IN_FLIGHT, Math.floor(threads / 2)));
  const held = new Set<Buffer>();
  let closed = false;

  const run = (command: number, buffer: Buffer): Promise<number> =>
    new Promise((resolve, reject) => {
      held.add(buffer);
      ioctl.async(file.fd, command, buffer, (error: unknown, result) => {
        const errno = koffi.errno();
        held.delete(buffer);
        if (error === null || error === undefined) resolve(result < 0 ? errno : 0);
        else reject(toDmthinError(error, OP));
      });
    });

  return {
    async call(command, buffer, kind) {
      if (closed) throw new DmthinError('internal', { op: OP, what: 'the client is closed' });
      return lanes[kind].run(() => run(command, buffer));
    },
    async close() {
      if (closed) return;
      closed = true;
      await allIdle(lanes);
      await file.close();
    },
  };
}

/** A port whose calls block the thread that makes them. Does not take over the file. */
export function createBlockingPort(koffi: Koffi, fd: number): IoctlPort {
  const ioctl = declareIoctl(koffi);
  return {
    call: (command, buffer) => Promise.resolve(ioctl(fd, command, buffer) < 0 ? koffi.errno() : 0),
    close: () => Promise.resolve(),
  };
}

/**
 * The program itself has libc's symbols, whatever that libc is called here. Declared without its variadic part, which
 * koffi cannot call asynchronously; a pointer argument is passed alike on x86-64 and arm64.
 */
function declareIoctl(koffi: Koffi): Ioctl {
  return koffi.load(null).func('int ioctl(int fd, ulong request, void *argument)');
}

/** How many threads libuv has for calls that block. */
export function poolThreads(): number {
  return Number(process.env['UV_THREADPOOL_SIZE']) || DEFAULT_POOL_THREADS;
}

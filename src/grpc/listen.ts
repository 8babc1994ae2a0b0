/**
 * Listens on a unix socket with a path.
 *
 * The socket is bound under a temporary name beside `path`, given its mode, and renamed into place: it replaces a stale
 * one atomically, is never reachable with a laxer mode, and libuv, which unlinks at close the name that it bound, cannot
 * take away a socket that a successor has put at `path` meanwhile.
 */
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, rename, rm, unlink } from 'node:fs/promises';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';
import { DmthinError, errnoOf } from '../base/errors.ts';
import { MAX_SOCKET_PATH_BYTES, probeSocket } from './address.ts';

const OP = 'listen';
const SOCKET_MODE = 0o600;
/** For a directory that we create; the mode of an existing one is its owner's business. */
const DIRECTORY_MODE = 0o700;

export interface SocketFile {
  readonly path: string;
  /** Removes the socket from the file system unless somebody else's is there by now. */
  remove(): Promise<void>;
}

/**
 * Makes `server` accept connections at `path`; creates the directory when there is none.
 * @throws locked when a live process answers there; config when something else is in the way or the directory cannot
 * be used.
 */
export async function listenAt(server: Server, path: string): Promise<SocketFile> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
    await checkFree(path);
    const temporary = temporaryName(path);
    await bind(server, { path: temporary });
    try {
      await chmod(temporary, SOCKET_MODE);
      await rename(temporary, path);
    } catch (error) {
      server.close();
      await rm(temporary, { force: true });
      throw error;
    }
    const mine = await lstat(path, { bigint: true });
    return {
      path,
      remove: async () => {
        const there = await lstatOrAbsent(path);
        if (there?.ino === mine.ino && there.dev === mine.dev) await unlink(path);
      },
    };
  } catch (error) {
    throw explain(error, path);
  }
}

/** Accepts connections of a listening socket that somebody else has bound, and removes. @throws config */
export async function listenOn(
  server: Server,
  inherited: { readonly fd: number; readonly path: string },
): Promise<SocketFile> {
  const { fd, path } = inherited;
  try {
    await bind(server, { fd });
  } catch (error) {
    throw explain(error, path);
  }
  return { path, remove: () => Promise.resolve() };
}

async function checkFree(path: string): Promise<void> {
  const there = await lstatOrAbsent(path);
  if (there === undefined) return;
  if (!there.isSocket()) {
    throw new DmthinError('config', {
      op: OP,
      what: 'something that is not a socket is at the address, and was left alone',
      device: path,
      nextStep: 'move it away, or give the daemon another address',
    });
  }
  const presence = await probeSocket(path);
  switch (presence.kind) {
    case 'stale':
    case 'absent':
      return;
    case 'live':
      throw new DmthinError('locked', {
        op: OP,
        what: 'another process answers at the address',
        device: path,
        nextStep: 'stop it (`ss -xlp` shows its pid), or give this daemon another address',
      });
    case 'unknown':
      throw new DmthinError('config', {
        op: OP,
        what: 'cannot tell whether another process uses the socket at the address',
        device: path,
        errno: presence.errno,
        nextStep: 'remove the file when no daemon runs, or give this daemon another address',
      });
    default:
      return presence satisfies never;
  }
}

/** Beside `path`, so that the rename stays in one file system, and recognisable in `ss -xlp` where the length allows it. */
function temporaryName(path: string): string {
  const suffix = randomBytes(3).toString('hex');
  const long = `${path}.${suffix}`;
  return Buffer.byteLength(long) <= MAX_SOCKET_PATH_BYTES ? long : join(dirname(path), `.${suffix}`);
}

function bind(server: Server, where: { readonly path: string } | { readonly fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function lstatOrAbsent(path: string) {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function explain(error: unknown, path: string): DmthinError {
  if (error instanceof DmthinError) return error;
  return new DmthinError(
    'config',
    {
      op: OP,
      what: `cannot make the socket: ${error instanceof Error ? error.message : String(error)}`,
      device: path,
      errno: errnoOf(error),
      nextStep: 'check that the directory exists and that the daemon may write to it',
    },
    error,
  );
}

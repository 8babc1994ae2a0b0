/** The address of a unix socket, and who is there. */
import { connect } from 'node:net';
import { DmthinError } from '../base/errors.ts';

/** Linux's sun_path has 108 bytes, the last of them NUL. */
export const MAX_SOCKET_PATH_BYTES = 107;

/**
 * The path in `address`: bare, `unix:PATH` or `unix:///PATH` as gRPC clients write it.
 * @throws config when it is not absolute, or longer than the kernel takes.
 */
export function parseAddress(address: string): string {
  const path = address.replace(/^unix:(\/\/)?/, '');
  const what = !path.startsWith('/')
    ? 'is not the absolute path of a unix socket'
    : path.includes('\0')
      ? 'has a NUL character'
      : path.endsWith('/')
        ? 'names a directory'
        : Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES
          ? `has ${Buffer.byteLength(path)} bytes; the kernel takes at most ${MAX_SOCKET_PATH_BYTES} for a socket`
          : undefined;
  if (what === undefined) return path;
  throw new DmthinError('config', {
    op: 'socket address',
    what: `${JSON.stringify(address)} ${what}`,
    nextStep: 'give an address such as /run/dmthin/dmthin.sock',
  });
}

export type Presence =
  /** Somebody accepts connections. */
  | { readonly kind: 'live' }
  /** A socket that nobody listens on. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'absent' }
  /** Could not tell, for example EACCES. */
  | { readonly kind: 'unknown'; readonly errno: string };

/** Finds out by connecting whether somebody serves the socket at `path`. */
export function probeSocket(path: string): Promise<Presence> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve({ kind: 'live' });
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.destroy();
      resolve(presenceOf(error.code ?? 'UNKNOWN'));
    });
  });
}

function presenceOf(errno: string): Presence {
  switch (errno) {
    case 'ECONNREFUSED':
      return { kind: 'stale' };
    case 'ENOENT':
    case 'ENOTDIR':
      return { kind: 'absent' };
    // The backlog is full: somebody listens, slowly.
    case 'EAGAIN':
      return { kind: 'live' };
    default:
      return { kind: 'unknown', errno };
  }
}

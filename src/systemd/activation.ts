/** Sockets that the service manager has opened for us. Source: sd_listen_fds(3). */
import { fstatSync, readFileSync } from 'node:fs';
import { DmthinError } from '../base/errors.ts';

export interface InheritedSocket {
  readonly fd: number;
  readonly path: string;
}

/** The address that means: the socket that the service manager passes, whatever its path. */
export const INHERITED_ADDRESS = 'fd://';

const OP = 'socket activation';
const FIRST_FD = 3;
/** `__SO_ACCEPTCON` in the flags of /proc/net/unix: it listens. */
const LISTENING = 0x10000;

/**
 * @param variables LISTEN_FDS and LISTEN_PID; sockets that are another process's are none.
 * @throws config when one is no listening unix socket with a path.
 */
export function inheritedSockets(
  variables: { readonly fds: string | undefined; readonly pid: string | undefined },
  pid: number,
): InheritedSocket[] {
  if (variables.fds === undefined || variables.pid !== String(pid)) return [];
  const count = Number(variables.fds);
  const table = readFileSync('/proc/net/unix', 'utf8');
  return Array.from({ length: count }, (_, index) => {
    const fd = FIRST_FD + index;
    const path = listeningPath(table, fstatSync(fd, { bigint: true }).ino);
    if (path !== undefined) return { fd, path };
    throw new DmthinError('config', {
      op: OP,
      what: `descriptor ${fd} is no listening unix socket`,
      nextStep: 'ListenStream= in dmthin.socket wants the absolute path of a socket',
    });
  });
}

/** @param table /proc/net/unix: Num RefCount Protocol Flags Type St Inode Path. */
export function listeningPath(table: string, inode: bigint): string | undefined {
  for (const line of table.split('\n')) {
    const match = /^\S+ \S+ \S+ ([0-9A-F]+) \S+ \S+ +(\d+) (\/.*)$/i.exec(line);
    if (match?.[1] === undefined || match[2] !== inode.toString()) continue;
    return (parseInt(match[1], 16) & LISTENING) === 0 ? undefined : match[3];
  }
  return undefined;
}

/**
 * The passed socket to serve on; undefined: bind the address ourselves.
 * @throws config when what is passed and what is configured cannot both be meant.
 */
export function chooseSocket(
  address: string,
  sockets: readonly InheritedSocket[],
): InheritedSocket | undefined {
  const [first] = sockets;
  if (address === INHERITED_ADDRESS) {
    if (sockets.length === 1) return first;
    throw new DmthinError('config', {
      op: OP,
      what: `the address is ${INHERITED_ADDRESS} and ${sockets.length} sockets were passed`,
      nextStep: 'start it through dmthin.socket, or give it the path of a socket',
    });
  }
  if (first === undefined) return undefined;
  const same = sockets.find(({ path }) => path === address);
  if (same !== undefined) return same;
  throw new DmthinError('config', {
    op: OP,
    what: `the service manager listens at ${first.path}, and the configured address is ${address}`,
    nextStep: 'make address and the ListenStream of dmthin.socket the same, or disable dmthin.socket',
  });
}

/**
 * Tells the service manager how we are: one datagram to the socket in NOTIFY_SOCKET. Source: sd_notify(3).
 *
 * Through koffi, which the daemon needs anyway: Node has no unix datagram sockets, and `systemd-notify` would be another
 * process, whose messages the manager takes only with NotifyAccess=all.
 */
import koffi from 'koffi';
import { DmthinError, toDmthinError } from '../base/errors.ts';

/** For example `{ READY: '1', STATUS: 'serving' }`. */
export type ServiceState = Readonly<Record<string, string>>;

export interface Notifier {
  /** @throws internal with the errno; whoever calls decides whether that matters. */
  notify(state: ServiceState): Promise<void>;
}

const OP = 'notify the service manager';
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** Linux's sun_path. */
const MAX_PATH_BYTES = 108;

/** @param address a path, or after an `@` a name of the abstract namespace. @throws config when it is neither. */
export function createNotifier(address: string): Notifier {
  const target = socketAddress(address);
  return {
    async notify(state) {
      const lines = Object.entries(state).map(([name, value]) => `${name}=${value.replaceAll('\n', ' ')}\n`);
      await send(Buffer.from(lines.join('')), target);
    },
  };
}

/** A `struct sockaddr_un` of just the length that counts. */
function socketAddress(address: string): Buffer {
  const isAbstract = address.startsWith('@');
  const name = Buffer.from(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  if (name.length > MAX_PATH_BYTES || !(isAbstract || address.startsWith('/'))) {
    throw new DmthinError('config', {
      op: OP,
      what: `NOTIFY_SOCKET=${address} is no address of a unix socket`,
    });
  }
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, name]);
}

async function send(message: Buffer, target: Buffer): Promise<void> {
  const libc = koffi.load(null);
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const sendto = libc.func(
    'long sendto(int fd, const void *message, size_t length, int flags, const void *address, uint32_t size)',
  );
  const close = libc.func('int close(int fd)');
  const fd: unknown = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (typeof fd !== 'number' || fd < 0) throw refused('socket', koffi.errno());
  try {
    // On a thread: a manager that is slow to read makes it wait.
    await new Promise<void>((resolve, reject) => {
      sendto.async(
        fd,
        message,
        message.length,
        MSG_NOSIGNAL,
        target,
        target.length,
        (error: unknown, sent: unknown) => {
          const errno = koffi.errno();
          if (error !== null && error !== undefined) reject(toDmthinError(error, OP));
          else if (Number(sent) < 0) reject(refused('sendto', errno));
          else resolve();
        },
      );
    });
  } finally {
    close(fd);
  }
}

function refused(call: string, errno: number): DmthinError {
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0];
  return new DmthinError('internal', { op: OP, what: `${call} failed`, errno: name ?? String(errno) });
}

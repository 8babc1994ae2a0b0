/** What a service manager holds: its end of sd_notify, and a listening socket of which it accepts nothing. Node has neither. */
import assert from 'node:assert/strict';
import { closeSync, unlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';

export interface NotifySocket extends Disposable {
  /** Messages that arrived since the last call, each as its lines. */
  take(): string[][];
  /** Waits for a message with the line, and gives that message. */
  waitFor(line: string | RegExp): Promise<string[]>;
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const BACKLOG = 128;
const MSG_DONTWAIT = 0x40;
const MAX_MESSAGE_BYTES = 65_536;

/** @param address a path, or `@NAME` in the abstract namespace. */
export function openNotifySocket(address: string): NotifySocket {
  const fd = boundSocket(SOCK_DGRAM, address);
  const libc = koffi.load(null);
  const recv = libc.func('long recv(int fd, _Out_ uint8_t *buffer, size_t size, int flags)');

  function take(): string[][] {
    const messages: string[][] = [];
    for (;;) {
      const buffer = Buffer.alloc(MAX_MESSAGE_BYTES);
      const length = Number(recv(fd, buffer, buffer.length, MSG_DONTWAIT));
      if (length < 0) return messages;
      messages.push(buffer.toString('utf8', 0, length).trimEnd().split('\n'));
    }
  }

  return {
    take,
    async waitFor(wanted) {
      const endsAt = performance.now() + 60_000;
      const seen: string[][] = [];
      for (;;) {
        const messages = take();
        seen.push(...messages);
        const found = messages.find((lines) =>
          lines.some((line) => (typeof wanted === 'string' ? line === wanted : wanted.test(line))),
        );
        if (found !== undefined) return found;
        assert.ok(performance.now() < endsAt, `never told ${String(wanted)}, only ${JSON.stringify(seen)}`);
        await sleep(10);
      }
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

export interface ListeningSocket extends Disposable {
  readonly fd: number;
}

export function openListeningSocket(path: string): ListeningSocket {
  const fd = boundSocket(SOCK_STREAM, path);
  const listen = koffi.load(null).func('int listen(int fd, int backlog)');
  assert.equal(listen(fd, BACKLOG), 0);
  return {
    fd,
    [Symbol.dispose]() {
      closeSync(fd);
      unlinkSync(path);
    },
  };
}

function boundSocket(type: number, address: string): number {
  const libc = koffi.load(null);
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const bind = libc.func('int bind(int fd, const void *address, uint32_t size)');
  const name = address.startsWith('@') ? `\0${address.slice(1)}` : `${address}\0`;
  const target = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(name)]);
  const fd = Number(socket(AF_UNIX, type, 0));
  assert.equal(bind(fd, target, target.length), 0, `bind: errno ${koffi.errno()}`);
  return fd;
}

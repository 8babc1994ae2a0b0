/** The gRPC server on its unix socket. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../base/log.ts';
import { parseAddress } from './address.ts';
import { createCalls } from './calls.ts';
import { MAX_MESSAGE_BYTES } from './limits.ts';
import { listenAt, listenOn } from './listen.ts';
import type { Rpc } from './rpc.ts';

export interface ServerOptions {
  /** The socket's path, bare or with `unix:` or `unix://` before it. */
  readonly address: string;
  /** Serves on this listening socket instead, which its owner removes. */
  readonly inherited?: { readonly fd: number; readonly path: string } | undefined;
  readonly service: readonly Rpc[];
  readonly log: Log;
}

export interface RunningServer {
  /** The socket's path. */
  readonly address: string;
  /**
   * Stops: no new connection, no new call on the old ones; waits for the calls in flight until `deadlineMs` from now,
   * then aborts them; closes every connection; removes the socket file. Never fails, and ends at most two seconds after
   * the deadline. A second call waits for the first one's end.
   */
  drain(deadlineMs: number): Promise<void>;
}

/** What aborted calls get to end, and then peers to read their answers and hang up. */
const GRACE_MS = 1000;

/**
 * Plaintext HTTP/2, any `:authority` and metadata, as many calls at once as callers make. No pings are sent: the peer's
 * end of a unix socket is seen at once.
 * @throws locked when a live process answers at the address; config when the address cannot be used.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { service, log, inherited } = options;
  const path = inherited?.path ?? parseAddress(options.address);
  const grpc = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.enable_channelz': 0,
  });
  const calls = createCalls(log);
  for (const rpc of service) calls.register(grpc, rpc);

  // We own the listener, not grpc-js: its mode, its replacement and its removal are ours to decide.
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const connections = new Set<Socket>();
  const listener = createServer((connection) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
    injector.injectConnection(connection);
  });
  const file = await (inherited === undefined ? listenAt(listener, path) : listenOn(listener, inherited));
  listener.on('error', (error) => log.error({ path, error: error.message }, 'accepting a connection failed'));
  log.info({ path }, 'listening');

  async function stop(deadlineMs: number): Promise<void> {
    // Calls back when the last connection has ended, and so has delivered its last answer.
    const disconnected = new Promise<void>((resolve) => listener.close(() => resolve()));
    grpc.tryShutdown(() => undefined);
    if (!(await endsWithin(calls.idle(), deadlineMs))) {
      log.warn({ calls: calls.inFlight, deadlineMs }, 'calls still in flight at the deadline: aborting them');
      calls.abort();
      await endsWithin(calls.idle(), GRACE_MS);
      if (calls.inFlight > 0) log.warn({ calls: calls.inFlight }, 'calls did not end when aborted');
    }
    if (!(await endsWithin(disconnected, GRACE_MS)))
      for (const connection of connections) connection.destroy();
    await file
      .remove()
      .catch((error: unknown) => log.warn({ path, error: String(error) }, 'socket not removed'));
    log.info({ path }, 'stopped listening');
  }

  let stopped: Promise<void> | undefined;
  return {
    address: path,
    drain: (deadlineMs) => (stopped ??= stop(deadlineMs)),
  };
}

async function endsWithin(work: Promise<unknown>, timeMs: number): Promise<boolean> {
  const timer = new AbortController();
  const expired = sleep(timeMs, false, { signal: timer.signal });
  const ended = await Promise.race([work.then(() => true), expired]);
  timer.abort();
  await expired.catch(() => undefined);
  return ended;
}

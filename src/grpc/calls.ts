/**
 * Runs calls on grpc-js: cancellation, status, log, and the count of those in flight.
 *
 * INVARIANTS: a call is in flight from the moment its handler starts until its work has ended, also when the caller
 * has long gone: what it does to the pool goes on. Its signal is never aborted after its work ended.
 */
import type { sendUnaryData, Server, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { DmthinError, type ErrorCode, toDmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Rpc, RpcOptions, StreamRpc, Subject } from './rpc.ts';
import { toGrpcStatus } from './status.ts';

type UnaryCall = ServerUnaryCall<Buffer, Buffer>;
type StreamCall = ServerWritableStream<Buffer, Buffer>;
type WorkOptions = RpcOptions & { readonly signal: AbortSignal };

export interface Calls {
  /** Calls whose work has not ended. */
  readonly inFlight: number;
  /** Lets `server` serve the rpc: requests arrive as bytes, so that we and not grpc-js answer malformed ones. */
  register(server: Server, rpc: Rpc): void;
  /** Resolves once no call is in flight. */
  idle(): Promise<void>;
  /** Aborts the signal of every call in flight. */
  abort(): void;
}

export function createCalls(log: Log): Calls {
  const running = new Map<Promise<void>, AbortController>();

  function start(
    op: string,
    call: UnaryCall | StreamCall,
    work: (options: WorkOptions) => Promise<void>,
    fail: (error: DmthinError) => void,
  ): void {
    const controller = new AbortController();
    const { signal } = controller;
    const onCancelled = (): void => controller.abort(whyGone(op, call));
    call.once('cancelled', onCancelled);
    if (call.cancelled) onCancelled();
    const startedAt = performance.now();
    let subject: Subject = {};
    const finish = (error?: DmthinError): void => {
      // grpc-js emits `cancelled` after a normal end too.
      call.off('cancelled', onCancelled);
      logEnd(log, { op, ...subject, ms: Math.round(performance.now() - startedAt) }, error);
      if (error !== undefined) fail(error);
    };
    const done = work({ signal, onSubject: (facts) => (subject = facts) })
      .then(
        () => finish(),
        (error: unknown) => finish(explain(error, signal, op)),
      )
      // Whatever an answer meets must not take the daemon down.
      .catch((error: unknown) => log.error({ op, error: String(error) }, 'answering a call failed'))
      .finally(() => running.delete(done));
    running.set(done, controller);
  }

  return {
    get inFlight() {
      return running.size;
    },
    register(server, rpc) {
      if (rpc.kind === 'unary') {
        server.register<Buffer, Buffer>(
          rpc.path,
          (call: UnaryCall, reply: sendUnaryData<Buffer>) =>
            start(
              rpc.op,
              call,
              async (options) => reply(null, await rpc.run(call.request, options)),
              (error) => reply(toGrpcStatus(error)),
            ),
          identity,
          identity,
          'unary',
        );
      } else {
        server.register<Buffer, Buffer>(
          rpc.path,
          (call: StreamCall) =>
            start(
              rpc.op,
              call,
              (options) => sendAll(rpc, call, options),
              (error) => call.emit('error', toGrpcStatus(error)),
            ),
          identity,
          identity,
          'serverStream',
        );
      }
    },
    async idle() {
      while (running.size > 0) await Promise.all(running.keys());
    },
    abort() {
      for (const controller of running.values()) {
        controller.abort(new DmthinError('unavailable', { op: 'stop', what: 'the daemon is stopping' }));
      }
    },
  };
}

/** One message at a time as the caller reads; ends early when the caller goes away. */
async function sendAll(rpc: StreamRpc, call: StreamCall, options: WorkOptions): Promise<void> {
  for await (const message of rpc.run(call.request, options)) {
    await send(call, message, options.signal);
  }
  call.end();
}

/** Resolves once HTTP/2 has taken the message, which waits for the caller to read. */
function send(call: StreamCall, message: Buffer, signal: AbortSignal): Promise<void> {
  const sent = Promise.withResolvers<undefined>();
  const onAbort = (): void => sent.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  else call.write(message, () => sent.resolve(undefined));
  return sent.promise.finally(() => signal.removeEventListener('abort', onAbort));
}

function identity(body: Buffer): Buffer {
  return body;
}

/** Timers may fire this much before the wall clock reaches the deadline. */
const CLOCK_SLACK_MS = 2;

function whyGone(op: string, call: UnaryCall | StreamCall): DmthinError {
  return Number(call.getDeadline()) <= Date.now() + CLOCK_SLACK_MS
    ? new DmthinError('deadline_exceeded', { op, what: "the caller's deadline passed" })
    : new DmthinError('cancelled', { op, what: 'the caller went away' });
}

/** What aborted the call stands for the foreign error that the abort led to. */
function explain(error: unknown, signal: AbortSignal, op: string): DmthinError {
  const reason: unknown = signal.aborted && !(error instanceof DmthinError) ? signal.reason : error;
  return toDmthinError(reason, op);
}

const LEVEL = {
  invalid_argument: 'info',
  not_found: 'debug',
  already_exists: 'debug',
  failed_precondition: 'info',
  busy: 'info',
  resource_exhausted: 'warn',
  unavailable: 'warn',
  unsupported: 'error',
  cancelled: 'info',
  deadline_exceeded: 'info',
  config: 'error',
  locked: 'warn',
  internal: 'error',
} as const satisfies Record<ErrorCode, keyof Log>;

function logEnd(log: Log, facts: object, error: DmthinError | undefined): void {
  if (error === undefined) {
    log.debug(facts, 'call served');
    return;
  }
  const level = LEVEL[error.code];
  log[level](
    {
      ...facts,
      code: error.code,
      error: error.message,
      ...(level === 'error' ? { stack: stacks(error) } : {}),
    },
    'call failed',
  );
}

/** The stack of the error and of its causes, outermost first. */
function stacks(error: Error): string[] {
  const found: string[] = [];
  for (let at: unknown = error; at instanceof Error && found.length < 10; at = at.cause) {
    found.push(at.stack ?? at.message);
  }
  return found;
}

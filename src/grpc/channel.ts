/** Calls to a server on a unix socket: messages in, messages out, its errors as ours. */
import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { type CallOptions, Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { DmthinError, toDmthinError } from '../base/errors.ts';
import { decode, encode } from './codec.ts';
import { MAX_MESSAGE_BYTES } from './limits.ts';
import { nameOf } from './rpc.ts';
import { fromGrpcStatus } from './status.ts';

export interface Channel {
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>>;
  /** Ending the iteration early cancels the call. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
  ): AsyncIterable<MessageShape<O>>;
  close(): void;
}

export interface ChannelOptions {
  /** For each call as a whole. */
  readonly deadlineMs: number;
  /** Cancels the calls under way and those to come. */
  readonly signal: AbortSignal | undefined;
  /** Sent with each call, for example containerd's `containerd-namespace`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export function openChannel(path: string, { deadlineMs, signal, headers = {} }: ChannelOptions): Channel {
  const client = new Client(`unix:${path}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    // The default would be the socket's path, percent-encoded.
    'grpc.default_authority': 'localhost',
  });
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const callOptions = (): CallOptions => ({ deadline: Date.now() + deadlineMs });

  /** Until the returned function is called, an abort cancels `call`. */
  function followSignal(call: { cancel(): void }): () => void {
    const cancel = (): void => call.cancel();
    if (signal?.aborted === true) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    return () => signal?.removeEventListener('abort', cancel);
  }

  return {
    async unary(method, request) {
      const answer = Promise.withResolvers<Buffer>();
      const call = client.makeUnaryRequest(
        nameOf(method).path,
        identity,
        identity,
        encode(method.input, request),
        metadata,
        callOptions(),
        (error, body) => {
          if (error !== null) answer.reject(explain(error, path));
          else answer.resolve(body ?? Buffer.alloc(0));
        },
      );
      const unfollow = followSignal(call);
      try {
        return decode(method.output, await answer.promise, method.name, 'internal');
      } finally {
        unfollow();
      }
    },

    async *stream(method, request) {
      const call = client.makeServerStreamRequest(
        nameOf(method).path,
        identity,
        identity,
        encode(method.input, request),
        metadata,
        callOptions(),
      );
      // The cancellation below is reported too, when nobody iterates any more.
      call.on('error', () => undefined);
      const unfollow = followSignal(call);
      try {
        const bodies: AsyncIterable<Buffer> = call;
        for await (const body of bodies) yield decode(method.output, body, method.name, 'internal');
      } catch (error) {
        throw explain(error, path);
      } finally {
        unfollow();
        call.cancel();
      }
    },

    close: () => client.close(),
  };
}

function identity(body: Buffer): Buffer {
  return body;
}

/** The server's error with its full text, which names the operation itself. */
function explain(error: unknown, path: string): DmthinError {
  const op = `daemon at ${path}`;
  if (!isServiceError(error)) return toDmthinError(error, op);
  return new DmthinError(fromGrpcStatus(error.code), { op, what: error.details }, error);
}

function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'number' &&
    error.code in status &&
    'details' in error &&
    typeof error.details === 'string'
  );
}

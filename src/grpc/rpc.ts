/** One remote procedure as bytes in, bytes out: what a transport needs to know, and nothing of the transport. */
import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { CallOptions } from '../snapshotter/snapshotter.ts';
import { decode, encode } from './codec.ts';

interface RpcName {
  /** The HTTP/2 path, for example `/containerd.services.snapshots.v1.Snapshots/Stat`. */
  readonly path: string;
  /** The operation in errors and logs, for example `Stat`. */
  readonly op: string;
}

/** What a call is about, once its request is decoded, for the log: its text fields, and those of its snapshot. */
export type Subject = Readonly<Record<string, string>>;

export interface RpcOptions extends CallOptions {
  readonly onSubject: (subject: Subject) => void;
}

export interface UnaryRpc extends RpcName {
  readonly kind: 'unary';
  readonly run: (body: Uint8Array, options: RpcOptions) => Promise<Buffer>;
}

export interface StreamRpc extends RpcName {
  readonly kind: 'stream';
  readonly run: (body: Uint8Array, options: RpcOptions) => AsyncIterable<Buffer>;
}

export type Rpc = UnaryRpc | StreamRpc;

export function unary<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  handle: (request: MessageShape<I>, options: CallOptions) => Promise<MessageInitShape<O>>,
): UnaryRpc {
  const name = nameOf(method);
  return {
    ...name,
    kind: 'unary',
    run: async (body, options) => {
      const request = decode(method.input, body, name.op);
      options.onSubject(subjectOf(request));
      return encode(method.output, await handle(request, options));
    },
  };
}

/** `handle` yields encoded responses, so that it can bound their size. */
export function serverStream<I extends DescMessage, O extends DescMessage>(
  method: DescMethodServerStreaming<I, O>,
  handle: (request: MessageShape<I>, options: CallOptions) => AsyncIterable<Buffer>,
): StreamRpc {
  const name = nameOf(method);
  return {
    ...name,
    kind: 'stream',
    run: async function* (body, options) {
      const request = decode(method.input, body, name.op);
      options.onSubject(subjectOf(request));
      yield* handle(request, options);
    },
  };
}

export function nameOf(method: DescMethod): RpcName {
  return { path: `/${method.parent.typeName}/${method.name}`, op: method.name };
}

function subjectOf(request: object): Subject {
  const subject: Record<string, string> = {};
  for (const [field, value] of Object.entries<unknown>({ ...request })) {
    if (typeof value === 'string' && value !== '' && !field.startsWith('$')) subject[field] = value;
  }
  if ('info' in request && typeof request.info === 'object' && request.info !== null) {
    Object.assign(subject, subjectOf(request.info));
  }
  return subject;
}

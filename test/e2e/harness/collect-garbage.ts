/** Runs containerd's garbage collector: deleting a lease with `sync` answers when the collection has ended. */
import { Client, credentials, Metadata } from '@grpc/grpc-js';

/** containerd.services.leases.v1.Leases: Create takes { id = 1 }, Delete takes { id = 1, sync = 2 }. */
const SERVICE = '/containerd.services.leases.v1.Leases';
const DEADLINE_MS = 300_000;

/** @throws Error when containerd refuses, or the collection as a whole fails. */
export async function collectGarbage(address: string): Promise<void> {
  const client = new Client(`unix:${address}`, credentials.createInsecure(), {
    'grpc.default_authority': 'localhost',
  });
  try {
    const id = field(1, `collect-${performance.now()}`);
    await call(client, `${SERVICE}/Create`, id);
    await call(client, `${SERVICE}/Delete`, Buffer.concat([id, Buffer.from([(2 << 3) | 0, 1])]));
  } finally {
    client.close();
  }
}

/** A protobuf string field of less than 128 bytes. */
function field(number: number, text: string): Buffer {
  const value = Buffer.from(text);
  return Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), value]);
}

function call(client: Client, path: string, request: Buffer): Promise<void> {
  const metadata = new Metadata();
  metadata.set('containerd-namespace', 'default');
  return new Promise((resolve, reject) => {
    const same = (body: Buffer): Buffer => body;
    client.makeUnaryRequest(
      path,
      same,
      same,
      request,
      metadata,
      { deadline: Date.now() + DEADLINE_MS },
      (error) => {
        if (error === null) resolve();
        else reject(error);
      },
    );
  });
}

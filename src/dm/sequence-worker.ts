/**
 * The thread behind sequences.ts: one message in, a whole sequence of ioctls, one message out.
 *
 * INVARIANT: every step of a sequence is synchronous under its promises, so that one is over before the next begins.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { toDmthinError } from '../base/errors.ts';
import type { DmClient } from './client.ts';
import { createDeviceNodes } from './device-nodes.ts';
import { createIoctlClient } from './ioctl-client.ts';
import { createBlockingPort, loadKoffi } from './ioctl-port.ts';
import type { Answer, Call, Done, Sequence, SequenceData } from './sequences.ts';

if (parentPort === null) throw new Error('sequence-worker.ts is started by sequences.ts only');
// Sent by sequences.ts, checked there.
const data = workerData as SequenceData;
serve(
  parentPort,
  createIoctlClient(createBlockingPort(await loadKoffi(), data.controlFd), createDeviceNodes(data.paths)),
);

function serve(port: MessagePort, client: DmClient): void {
  port.on('message', ({ id, call }: Sequence) => {
    const answer = (result: Answer['result']): void => port.postMessage({ id, result } satisfies Answer);
    run(client, call).then(answer, (error: unknown) => {
      const { code, detail } = toDmthinError(error, call.do);
      answer({ is: 'failed', code, detail });
    });
  });
}

async function run(client: DmClient, call: Call): Promise<Done> {
  switch (call.do) {
    case 'create':
      return { is: 'created', info: await client.create(call.name, call.options) };
    case 'messageUnlessPresent':
      return { is: 'told', status: await client.messageUnlessPresent(call.name, call.message, call.other) };
  }
}

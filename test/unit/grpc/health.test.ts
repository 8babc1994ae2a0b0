/** The standard health service: what a probe of somebody else's asks, in its own bytes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { hasCode } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { openChannel } from '../../../src/grpc/channel.ts';
import { connect } from '../../../src/grpc/client.ts';
import { Health } from '../../../src/grpc/gen/grpc/health/v1/health_pb.ts';
import { createHealthService } from '../../../src/grpc/health.ts';
import { startServer } from '../../../src/grpc/server.ts';
import { temporaryDirectory } from './support.ts';

it('says whether calls get through, for the server and for its service, and knows no other', async (t) => {
  let serves = true;
  const address = join(await temporaryDirectory(t), 's');
  const server = await startServer({ address, service: createHealthService(() => serves), log: silentLog });
  t.after(() => server.drain(0));
  const client = await connect(address);
  t.after(() => client.close());
  assert.equal(await client.isServing(), true);
  serves = false;
  assert.equal(await client.isServing(), false);

  const channel = openChannel(address, { deadlineMs: 5000, signal: undefined });
  t.after(() => channel.close());
  assert.equal((await channel.unary(Health.method.check, { service: '' })).status, 2);
  await assert.rejects(channel.unary(Health.method.check, { service: 'other' }), (error) =>
    hasCode(error, 'not_found'),
  );
});

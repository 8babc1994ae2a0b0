import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import { silentLog } from '../../../src/base/log.ts';
import { deviceId } from '../../../src/base/units.ts';
import type { CheckReport } from '../../../src/check/check.ts';
import type { Finding } from '../../../src/check/findings.ts';
import type { Inspector } from '../../../src/check/inspector.ts';
import type { RepairRequest } from '../../../src/check/remedies.ts';
import { connectAdmin } from '../../../src/grpc/admin-client.ts';
import { createAdminService } from '../../../src/grpc/admin-service.ts';
import { type RunningServer, startServer } from '../../../src/grpc/server.ts';
import { createCli } from './harness.ts';

const LEAKED: Finding = {
  kind: 'leaked-device',
  what: 'the pool has device 17, and no record names it',
  key: undefined,
  deviceId: deviceId(17),
  device: undefined,
};
const SUSPENDED: Finding = {
  kind: 'device-suspended',
  what: 'p-snap-3 is suspended',
  key: 'a',
  deviceId: deviceId(3),
  device: 'p-snap-3',
};

let findings: Finding[] = [];
const requests: RepairRequest[] = [];
const inspector: Inspector = {
  check: (): Promise<CheckReport> =>
    Promise.resolve({ pool: 'p', findings, snapshots: 2, bases: 1, poolDevices: 4 }),
  repair: (request) => {
    requests.push(request);
    const outcomes = findings.map((finding) =>
      finding.kind === 'leaked-device'
        ? ({ finding, result: 'left', why: 'name it' } as const)
        : ({ finding, result: request.apply ? 'repaired' : 'would', why: undefined } as const),
    );
    return Promise.resolve({ pool: 'p', applied: request.apply, outcomes });
  },
};

let directory: string;
let server: RunningServer;
let config: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dmthin-inspect-'));
  const address = join(directory, 'dmthin.sock');
  server = await startServer({ address, service: createAdminService(inspector), log: silentLog });
  config = join(directory, 'config.toml');
  await writeFile(config, `pool_name = "p"\nbase_image_size = "1GB"\naddress = "${address}"\n`);
});
after(async () => {
  await server.drain(1000);
  await rm(directory, { recursive: true });
});

const locked = () => Promise.reject(new DmthinError('locked', { op: 'lock', what: 'a daemon has it' }));

describe('check and repair on the command line', () => {
  it('asks the daemon that has the store; clean is 0, findings are 1', async () => {
    const { dmthin } = createCli({ connectAdmin, openInspector: locked });
    findings = [];
    assert.deepEqual(await dmthin('check', '--config', config), {
      code: 0,
      out: 'p: store and pool agree (2 snapshots, 1 base, 4 devices in the pool)',
      err: '',
    });
    findings = [LEAKED, SUSPENDED];
    assert.deepEqual(await dmthin('check', '--config', config), {
      code: 1,
      err: '',
      out: `leaked-device  the pool has device 17, and no record names it
  -> dmthin repair: --delete-device 17 deletes it, --keep-device 17 notes it as not ours
device-suspended  p-snap-3 is suspended
  -> dmthin repair: resume it
p: 2 findings (2 snapshots, 1 base, 4 devices in the pool)`,
    });
    const { out } = await dmthin('check', '--json', '--address', server.address);
    const json = JSON.parse(out) as { ok: boolean; findings: unknown[] };
    assert.equal(json.ok, false);
    assert.deepEqual(json.findings[1], {
      kind: 'device-suspended',
      what: 'p-snap-3 is suspended',
      snapshot: 'a',
      device_id: 3,
      device: 'p-snap-3',
      remedy: 'resume it',
      remedy_by: 'recovery',
    });
  });

  it('opens the store itself when no daemon has it, and closes it', async () => {
    let closed = 0;
    const { dmthin } = createCli({
      openInspector: () =>
        Promise.resolve({ ...inspector, close: () => Promise.resolve(void (closed += 1)) }),
    });
    findings = [];
    assert.equal((await dmthin('check', '--config', config)).code, 0);
    findings = [LEAKED];
    assert.equal((await dmthin('check', '--config', config)).code, 1);
    assert.equal(closed, 2);
  });

  it('repair is a dry run unless --apply, and passes the named devices on', async () => {
    const { dmthin } = createCli({ connectAdmin });
    findings = [LEAKED, SUSPENDED];
    const dry = await dmthin('repair', '--address', server.address);
    assert.equal(dry.code, 1);
    assert.match(
      dry.out,
      /would be repaired: device-suspended .*\n.*\np: nothing was changed; --apply would repair 1 and leave 1$/,
    );
    const some = await dmthin(
      'repair',
      '--apply',
      '--address',
      server.address,
      '--keep-device',
      '17',
      '--delete-device',
      '18',
      '--delete-device',
      '19',
    );
    assert.equal(some.code, 1);
    assert.match(some.out, /^left: leaked-device .*\n {2}-> name it\nrepaired: device-suspended/);
    assert.deepEqual(requests, [
      { apply: false, deleteDevices: [], keepDevices: [] },
      { apply: true, deleteDevices: [18, 19], keepDevices: [17] },
    ]);
    findings = [SUSPENDED];
    assert.equal((await dmthin('repair', '--apply', '--address', server.address)).code, 0);
  });

  it('could not look: the codes of the other commands', async () => {
    const { dmthin } = createCli({ connectAdmin, isRoot: () => false });
    assert.equal((await dmthin('check', '--address', join(directory, 'nobody.sock'))).code, 69);
    assert.equal((await dmthin('check', '--config', config)).code, 77);
    assert.equal(
      (await dmthin('repair', '--address', server.address, '--delete-device', '16777216')).code,
      64,
    );
  });
});

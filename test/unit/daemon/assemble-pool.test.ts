import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { silentLog } from '../../../src/base/log.ts';
import { bytes, deviceId, dmName } from '../../../src/base/units.ts';
import { createAssemblePool } from '../../../src/daemon/assemble-pool.ts';
import { openStore } from '../../../src/store/store.ts';
import { createMachine } from '../../fakes/machine.ts';
import { NO_POOL } from '../../fakes/pool-settings.ts';
import { refuses } from '../../refuses.ts';

it('a store that has devices gets its own pool or none, and callers hear why as unavailable', async () => {
  await using stack = new AsyncDisposableStack();
  const rootPath = await mkdtemp(join(tmpdir(), 'dmthin-assemble-'));
  stack.defer(() => rm(rootPath, { recursive: true }));
  const store = await openStore({ rootPath });
  stack.defer(() => store.close());
  const machine = createMachine();
  const backing = { kind: 'loop', directory: '/var/pools', dataBytes: bytes(2 ** 30) } as const;
  const settings = { ...NO_POOL, backing: { ...backing, metadataBytes: undefined } };
  const assemble = createAssemblePool({ ...machine, name: dmName('p'), settings, store, log: silentLog });

  await assemble();
  assert.ok(machine.kernel.info(dmName('p')) !== undefined);
  await store.transaction('base', (tx) => {
    const totals = { mappedBytes: 0, inodes: 0 };
    const base = { fsType: 'ext4', sizeBytes: bytes(1), fsOptions: '', totals } as const;
    tx.putBase({ key: 'k', state: 'ready', deviceId: deviceId(1), ...base });
  });
  machine.reboot();
  await assemble();
  machine.reboot();
  machine.volumes.delete('/var/pools/p.meta');
  machine.changes.length = 0;
  await refuses(assemble(), 'unavailable', /p\.meta is not there, and the store at .* has devices on it/);
  assert.deepEqual(machine.changes, []);
});

import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { dmName } from '../../../src/base/units.ts';
import { createPoolChanges } from '../../../src/pool/pool-changes.ts';
import { refuses } from '../../refuses.ts';

it('what is under way outlives the process; one process at a time changes a pool', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'dmthin-changes-'));
  t.after(() => rm(parent, { recursive: true }));
  const directory = join(parent, 'run');
  const [pool, part, other] = [dmName('p'), dmName('p.data'), dmName('q')];
  const changes = createPoolChanges(directory);
  assert.deepEqual(await changes.underWay(pool), [], 'also before there is a directory');
  const lock = changes.lock(pool);
  await changes.begin(pool, [part, pool]);
  const another = createPoolChanges(directory);
  assert.deepEqual(await another.underWay(pool), [part, pool]);
  assert.deepEqual(await another.underWay(other), []);
  await refuses(
    Promise.resolve().then(() => another.lock(pool)),
    'locked',
    /change pool p: another process is changing this pool now/,
  );
  another.lock(other).release();
  lock.release();
  another.lock(pool).release();
  await another.end(pool);
  await another.end(pool);
  assert.deepEqual(await changes.underWay(pool), []);
  assert.deepEqual(
    (await readdir(directory)).filter((name) => !name.endsWith('.lock')),
    [],
  );
});

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createCli } from './harness.ts';

const CREATE = [
  'pool',
  'create',
  'p',
  '--loop-dir',
  '/var/pools',
  '--data-size',
  '100G',
  '--metadata-size',
  '16M',
];

it('pool extend prints what it does, would do, or need not do', async () => {
  const { dmthin, machine } = createCli();
  await dmthin(...CREATE);
  const steps = `
  grow /var/pools/p.data from 100 GiB to 200 GiB
  let /dev/loop0 show all of /var/pools/p.data
  grow the pool /dev/mapper/p: data 100 GiB -> 200 GiB`;
  machine.changes.length = 0;
  const dry = await dmthin('pool', 'extend', 'p', '--data-size', '200G', '--dry-run');
  assert.equal(dry.out, `to be done for pool p (nothing has been changed):${steps}`);
  assert.deepEqual(machine.changes, []);
  assert.equal((await dmthin('pool', 'extend', 'p', '--data-size', '200G')).out, `pool p has grown${steps}`);
  const again = await dmthin('pool', 'extend', 'p', '--data-size', '200G');
  assert.equal(again.out, 'pool p has all that its devices have: nothing to do');
  assert.equal((await dmthin('pool', 'extend', 'p', '--metadata-size', '1K')).code, 64);
  assert.equal((await dmthin('pool', 'extend', 'q')).code, 1);
});

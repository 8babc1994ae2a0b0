import assert from 'node:assert/strict';
import { it } from 'node:test';
import { silentLog } from '../../../src/base/log.ts';
import { runProcess } from '../../../src/base/process.ts';
import { dmName } from '../../../src/base/units.ts';
import { createLowSpaceCommand } from '../../../src/daemon/low-space-command.ts';

const LOW = {
  pool: dmName('p'),
  role: 'data',
  freePercent: 17.26,
  dataDevice: '/dev/sda',
  metadataDevice: '/dev/sdb',
  poolStatus: '0 1 thin-pool',
} as const;

it('the command learns what is low, and however it ends, that is logged', async () => {
  const lines: [string, unknown][] = [];
  const log = {
    ...silentLog,
    info: (facts: object, message: string) => lines.push([message, facts]),
    error: (facts: object, message: string) => lines.push([message, facts]),
  };
  const variables = ['POOL', 'SPACE', 'FREE_PERCENT', 'DATA_DEVICE', 'METADATA_DEVICE', 'POOL_STATUS'];
  const script = variables.map((name) => `echo "$DMTHIN_${name}"`).join('; ');
  const argv = ['/bin/sh', '-c', script];
  await createLowSpaceCommand(argv, runProcess, log)(LOW);
  const output = 'p\ndata\n17.3\n/dev/sda\n/dev/sdb\n0 1 thin-pool';
  assert.deepEqual(lines.pop(), ['on_low_space has run', { command: argv, exitCode: 0, output }]);

  const failing = ['/bin/sh', '-c', 'echo no; exit 3'];
  await createLowSpaceCommand(failing, runProcess, log)(LOW);
  assert.deepEqual(lines.pop(), ['on_low_space has failed', { command: failing, exitCode: 3, output: 'no' }]);

  await createLowSpaceCommand(['/nonexistent/grow'], runProcess, log)(LOW);
  assert.equal(lines.pop()?.[0], 'on_low_space has failed');
});

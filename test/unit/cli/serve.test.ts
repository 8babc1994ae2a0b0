import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DmthinError } from '../../../src/base/errors.ts';
import type { CliDeps } from '../../../src/cli/deps.ts';
import type { Config } from '../../../src/daemon/config.ts';
import { createCli } from './harness.ts';

let directory: string;
let file: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dmthin-serve-'));
  file = join(directory, 'config.toml');
  await writeFile(file, 'pool_name = "p"\nbase_image_size = "1GB"\n');
});
after(() => rm(directory, { recursive: true }));

interface Served {
  readonly events: string[];
  readonly configs: Config[];
  readonly signals: EventEmitter;
  readonly deps: Partial<CliDeps>;
}

/** A daemon whose start and stop wait for what `hold` returns. */
function served(hold: (event: 'start' | 'stop', signals: EventEmitter) => Promise<void> | void): Served {
  const signals = new EventEmitter();
  const events: string[] = [];
  const configs: Config[] = [];
  return {
    events,
    configs,
    signals,
    deps: {
      signals,
      exit: (code) => events.push(`exit ${code}`),
      startDaemon: async (config) => {
        configs.push(config);
        events.push('start');
        await hold('start', signals);
        events.push('started');
        return {
          address: config.address,
          async stop() {
            events.push('stop');
            await hold('stop', signals);
            events.push('stopped');
          },
        };
      },
    },
  };
}

describe('serve', () => {
  it('runs until a signal and then stops', async () => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const { events, configs, signals, deps } = served((event, emitter) => {
        if (event === 'start') setImmediate(() => emitter.emit(signal));
      });
      const { code, out, err } = await createCli(deps).dmthin(
        'serve',
        '--config',
        file,
        '--root',
        '/r',
        '--log-level',
        'error',
      );
      assert.deepEqual([code, out, err], [0, '', '']);
      assert.deepEqual(events, ['start', 'started', 'stop', 'stopped']);
      assert.equal(configs[0]?.rootPath, '/r');
      assert.equal(configs[0].logLevel, 'error');
      assert.equal(signals.listenerCount('SIGTERM') + signals.listenerCount('SIGINT'), 0);
    }
  });

  it('finishes its start before it heeds a signal', async () => {
    const { events, deps } = served((event, emitter) => {
      if (event === 'start') emitter.emit('SIGTERM');
    });
    assert.equal((await createCli(deps).dmthin('serve', '--config', file)).code, 0);
    assert.deepEqual(events, ['start', 'started', 'stop', 'stopped']);
  });

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`ends at once at a second signal, ${signal}`, async () => {
      const { events, deps } = served((event, emitter) => {
        if (event === 'start') emitter.emit('SIGTERM');
        else emitter.emit(signal);
      });
      await createCli(deps).dmthin('serve', '--config', file);
      assert.deepEqual(events, ['start', 'started', 'stop', `exit ${code}`, 'stopped']);
    });
  }

  it('starts nothing when the configuration has problems', async () => {
    const { events, deps } = served(() => undefined);
    const { code, err } = await createCli(deps).dmthin('serve', '--config', file, '--root', 'relative');
    assert.equal(code, 78);
    assert.equal(err, 'dmthin: the configuration has 1 problem\n  --root: must be an absolute path');
    assert.deepEqual(events, []);
  });

  it('ends with the code of what kept the daemon from starting', async () => {
    const startDaemon = () =>
      Promise.reject(new DmthinError('locked', { op: 'open the store', what: 'another daemon has it' }));
    const { code, err } = await createCli({ startDaemon, signals: new EventEmitter() }).dmthin(
      'serve',
      '--config',
      file,
    );
    assert.deepEqual([code, err], [75, 'dmthin: open the store: another daemon has it']);
  });
});

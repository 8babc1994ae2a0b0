/** Check and repair without a daemon: the command opens the store itself, and holds its lock for as long as it works. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DmthinError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { runProcess } from '../base/process.ts';
import type { Inspector } from '../check/inspector.ts';
import { openDmClient } from '../dm/open-client.ts';
import { openStore, STORE_FILE } from '../store/store.ts';
import type { Config } from './config.ts';
import { createCore } from './core.ts';
import { coreOptions } from './core-options.ts';

export interface OpenInspector extends Inspector {
  close(): Promise<void>;
}

/**
 * @throws locked while a daemon has the store; unavailable when there is none: whoever watches must not take it for findings;
 * config when it belongs to another pool; unsupported: no device-mapper, no permission.
 */
export async function openInspector(config: Config, { log }: { readonly log: Log }): Promise<OpenInspector> {
  const { rootPath, poolName, transport } = config;
  if (!existsSync(join(rootPath, STORE_FILE))) {
    throw new DmthinError('unavailable', {
      op: 'check',
      what: `there is no snapshot store in ${rootPath}`,
      nextStep: 'name the state directory: --root DIR, or root_path in the configuration',
    });
  }
  await using stack = new AsyncDisposableStack();
  const store = await openStore({ rootPath });
  stack.defer(() => store.close());
  const bound = store.meta().poolName;
  if (bound !== poolName) {
    throw new DmthinError('config', {
      op: 'check',
      what: `the store in ${rootPath} belongs to pool ${JSON.stringify(bound)}`,
      device: poolName,
      nextStep: 'give the configuration that the daemon of this store has',
    });
  }
  const dm = await openDmClient(transport, { run: runProcess, log });
  stack.defer(() => dm.close());
  const core = createCore({
    ...coreOptions(config, { store, dm, run: runProcess, log }),
    // To look at a pool is no reason to activate it.
    assemblePool: () => Promise.resolve(),
    serving: false,
  });
  stack.defer(() => core.endGeneration());
  stack.defer(() => core.removals.stop());
  const opened = stack.move();
  return { ...core.inspector, close: () => opened.disposeAsync() };
}

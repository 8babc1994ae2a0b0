/** A node whose pool the daemon makes itself, from the table [pool], on loop files. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log.ts';
import { runProcess } from '../../src/base/process.ts';
import { type DmName, dmName } from '../../src/base/units.ts';
import type { Config } from '../../src/daemon/config.ts';
import { parseConfig } from '../../src/daemon/read-config.ts';
import type { DaemonOptions } from '../../src/daemon/daemon.ts';
import type { DmClient } from '../../src/dm/client.ts';
import { openDmClient } from '../../src/dm/open-client.ts';
import { type HealthyPoolStatus, parsePoolStatus } from '../../src/dm/status.ts';
import { removePoolAndDevices, serve, type Serving } from './node.ts';
import { detachLoopsBelow } from './pool-cli.ts';

export interface LoopPoolNode extends AsyncDisposable {
  readonly name: DmName;
  readonly dm: DmClient;
  readonly directory: string;
  /** Where the loop files are. */
  readonly files: string;
  /** The configuration as a file's text. */
  readonly configText: string;
  config(overrides?: Partial<Config>): Config;
  serve(overrides?: Partial<Config>, options?: Partial<DaemonOptions>): Promise<Serving>;
  /** The kernel forgets devices, pool and loop devices, as in a reboot; the files stay. */
  forget(): Promise<void>;
  status(): Promise<HealthyPoolStatus>;
}

let count = 0;

/** @param table what stands in the table [pool] besides loop_dir. */
export async function createLoopPoolNode(
  table = 'data_size = "256M"\nmetadata_size = "8M"',
): Promise<LoopPoolNode> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(process.env['DMTHIN_DISK'] ?? tmpdir(), 'loop-pool-'));
  stack.defer(() => rm(directory, { recursive: true }));
  const dm = await openDmClient('auto', { run: runProcess, log: silentLog });
  stack.defer(() => dm.close());
  count += 1;
  const name = dmName(`described${process.pid}-${count}`);
  const files = join(directory, 'pool');
  const configText = `pool_name = "${name}"
base_image_size = "64MB"
root_path = "${join(directory, 'root')}"
address = "${join(directory, 'dmthin.sock')}"
transport = "ioctl"
[pool]
loop_dir = "${files}"
${table}
`;
  const result = parseConfig(configText, 'test');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const config = (overrides: Partial<Config> = {}): Config => ({ ...result.config, ...overrides });

  async function forget(): Promise<void> {
    if ((await dm.info(name)) !== undefined) await removePoolAndDevices(dm, name);
    await detachLoopsBelow(directory);
  }

  stack.defer(forget);
  const owned = stack.move();
  return {
    ...{ name, dm, directory, files, configText, config, forget },
    serve: (overrides, options) => serve(config(overrides), options),
    async status() {
      const status = parsePoolStatus(name, await dm.status(name, { noFlush: false }));
      if (status.kind !== 'ok') throw new Error(status.raw);
      return status;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

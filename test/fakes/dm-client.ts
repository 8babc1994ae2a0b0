/** A {@link DmClient} on the fake kernel, with hooks that record, delay, fail or crash at every step. */
import { errnoError } from '../../src/dm/errno.ts';
import type { DmName } from '../../src/base/units.ts';
import type { DmClient, DmInfo, DmLine } from '../../src/dm/client.ts';
import { FAKE_MAJOR, FAKE_TARGETS, type FakeKernel } from './dm-kernel.ts';
import { Errno } from './dm-pool.ts';

export { createFakeKernel, type FakeKernel } from './dm-kernel.ts';

/** `create` is three of these: create, load, resume. */
export type FakeStep =
  | 'version'
  | 'targets'
  | 'list'
  | 'info'
  | 'create'
  | 'load'
  | 'suspend'
  | 'resume'
  | 'remove'
  | 'table'
  | 'status'
  | 'message';

export interface FakeCall {
  readonly step: FakeStep;
  readonly device: DmName | undefined;
  /** The text of a message, else ''. */
  readonly message: string;
}

/**
 * Called around every step. What `before` throws happens instead of the step, what `after` throws instead of its answer.
 * Throw {@link DaemonCrash} to end the client there.
 */
export interface FakeHooks {
  readonly before?: ((call: FakeCall) => void | Promise<void>) | undefined;
  readonly after?: ((call: FakeCall) => void | Promise<void>) | undefined;
}

/** The daemon dies: the step's client undoes nothing and answers no further call, the kernel stays as it is. */
export class DaemonCrash extends Error {
  override readonly name = 'DaemonCrash';
}

export function createFakeDmClient(kernel: FakeKernel, hooks: FakeHooks = {}): DmClient {
  let crash: DaemonCrash | undefined;

  const around = async (hook: FakeHooks['before'], call: FakeCall): Promise<void> => {
    try {
      await hook?.(call);
    } catch (error) {
      if (error instanceof DaemonCrash) crash = error;
      throw error;
    }
    if (crash !== undefined) throw crash;
  };

  const step = async <T>(
    name: FakeStep,
    device: DmName | undefined,
    body: () => T,
    message = '',
  ): Promise<T> => {
    if (crash !== undefined) throw crash;
    const call = { step: name, device, message };
    await around(hooks.before, call);
    const answer = run(call, body);
    await around(hooks.after, call);
    return answer;
  };

  const resume = (name: DmName): Promise<DmInfo> =>
    step('resume', name, () => {
      kernel.resume(name);
      return present(kernel, name);
    });

  const info = (name: DmName): Promise<DmInfo | undefined> => step('info', name, () => kernel.info(name));

  const message = (name: DmName, text: string): Promise<string> =>
    step('message', name, () => kernel.message(name, text), text);

  const status = (name: DmName): Promise<DmLine[]> => step('status', name, () => kernel.status(name));

  return {
    transport: 'fake',
    version: () => step('version', undefined, () => [4, 47, 0] as const),
    targets: () =>
      step('targets', undefined, () => FAKE_TARGETS.map((name) => ({ name, version: [1, 22, 0] as const }))),
    list: () =>
      step('list', undefined, () =>
        [...kernel.devices.values()].map(({ name, minor }) => ({ name, major: FAKE_MAJOR, minor })),
      ),
    info,
    async create(name, { uuid, table, readOnly = false }) {
      await step('create', name, () => kernel.createDevice(name, uuid));
      try {
        await step('load', name, () => kernel.load(name, table, readOnly));
        return await resume(name);
      } catch (error) {
        if (!(error instanceof DaemonCrash)) kernel.remove(name, false);
        throw error;
      }
    },
    load: (name, table, options) =>
      step('load', name, () => kernel.load(name, table, options?.readOnly ?? false)),
    suspend: (name) => step('suspend', name, () => kernel.suspend(name)),
    resume,
    remove: (name, options) => step('remove', name, () => kernel.remove(name, options?.deferred ?? false)),
    table: (name) => step('table', name, () => kernel.table(name)),
    status,
    message,
    async messageUnlessPresent(name, text, other) {
      if ((await info(other)) !== undefined) return undefined;
      await message(name, text);
      return status(name);
    },
    close: () => Promise.resolve(),
  };
}

function present(kernel: FakeKernel, name: DmName): DmInfo {
  const info = kernel.info(name);
  if (info === undefined) throw new Errno('ENXIO', 'no such device');
  return info;
}

function run<T>(call: FakeCall, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    const op = call.message === '' ? call.step : `message ${JSON.stringify(call.message)}`;
    throw errnoError(error.errno, { op, what: error.message, device: call.device });
  }
}

/** Shorthand for a hook that fails one step the way the kernel would. */
export function failWith(
  errno: string,
  matches: (call: FakeCall) => boolean,
): NonNullable<FakeHooks['before']> {
  return (call) => {
    if (matches(call))
      throw errnoError(errno, { op: call.step, what: 'injected failure', device: call.device });
  };
}

/** Shorthand for a hook that ends the daemon at one step. */
export function crashAt(matches: (call: FakeCall) => boolean): NonNullable<FakeHooks['before']> {
  return (call) => {
    if (matches(call))
      throw new DaemonCrash(`crashed at ${call.step} ${call.device ?? ''} ${call.message}`.trimEnd());
  };
}

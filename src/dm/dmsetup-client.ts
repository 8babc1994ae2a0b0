/**
 * {@link DmClient} by the dmsetup program, for machines where koffi's native part does not load.
 *
 * A refused dmsetup answers exit code 1 and words. Where the kernel's state tells the errno, we ask it; the rest is
 * libc's words, translated in errno.ts and nowhere else. See docs/decisions/0002-device-mapper-transport.md.
 */
import { DmthinError } from '../base/errors.ts';
import type { ProcessResult, RunProcess } from '../base/process.ts';
import type { DmName } from '../base/units.ts';
import type { DmClient, DmDeviceName, DmInfo, DmLine } from './client.ts';
import type { DeviceNodes } from './device-nodes.ts';
import * as output from './dmsetup-output.ts';
import { errnoError, errnoFromWords } from './errno.ts';
import { allIdle, createLaneSet, type LaneKind } from './lanes.ts';
import { formatLine } from './parse.ts';

/** Suspend waits for I/O in flight, which a full pool holds for 60 s by default. */
const TIMEOUT_MS = 180_000;
const MAX_PROCESSES = 8;

/** What is being done, for an error to say. */
interface Doing {
  readonly op: string;
  readonly what: string;
  readonly device?: DmName;
}

export function createDmsetupClient(run: RunProcess, nodes: DeviceNodes): DmClient {
  const lanes = createLaneSet(MAX_PROCESSES);

  const start = (kind: LaneKind, args: readonly string[], input = ''): Promise<ProcessResult> =>
    lanes[kind].run(async () => {
      const options = { timeoutMs: TIMEOUT_MS, input };
      // Waiting for udev's answer would hang us when it is lost. The entries in /dev/mapper are never udev's.
      return nodes.udevRuns()
        ? run('dmsetup', ['--noudevsync', '--noudevrules', ...args], options)
        : run('dmsetup', args, { ...options, env: { DM_DISABLE_UDEV: '1' } });
    });

  const call = async (
    kind: LaneKind,
    doing: Doing,
    args: readonly string[],
    input?: string,
  ): Promise<string> => {
    const result = await start(kind, args, input);
    if (result.exitCode === 0) return result.stdout;
    throw refusal(doing, result, await errnoFromState(doing));
  };

  /** The errno as far as the device itself tells it: absent, or open when it should be removed. */
  const errnoFromState = async ({ op, device }: Doing): Promise<string | undefined> => {
    if (device === undefined || op === 'create') return undefined;
    try {
      const found = await info(device);
      if (found === undefined) return 'ENXIO';
      return op === 'remove' && found.openCount > 0 ? 'EBUSY' : undefined;
    } catch {
      // The first refusal is the one to report.
      return undefined;
    }
  };

  const list = async (): Promise<DmDeviceName[]> => {
    const args = ['info', '-c', '--noheadings', '--separator', output.SEPARATOR, '-o', 'name,major,minor'];
    return output.parseNames(await call('ask', { op: 'list', what: 'cannot list devices' }, args));
  };

  const info = async (name: DmName): Promise<DmInfo | undefined> => {
    const result = await start('ask', ['info', '--', name]);
    if (result.exitCode === 0) return output.parseInfo(name, result.stdout);
    if ((await list()).every((device) => device.name !== name)) return undefined;
    throw refusal({ op: 'info', what: 'cannot look the device up', device: name }, result, undefined);
  };

  const present = async (op: string, name: DmName): Promise<DmInfo> => {
    const found = await info(name);
    if (found !== undefined) return found;
    throw errnoError('ENXIO', { op, what: 'the device is gone', device: name });
  };

  const settleNode = async (op: string, name: DmName): Promise<DmInfo> => {
    const found = await present(op, name);
    nodes.ensure(found);
    return found;
  };

  const message = async (name: DmName, text: string): Promise<string> => {
    const doing = { op: `message ${JSON.stringify(text)}`, what: 'the target refuses', device: name };
    const answer = await call('change', doing, ['message', '--', name, '0', text]);
    // Kernel 6.1 answers success for a device without a live table, and does nothing; 7.2 answers EINVAL.
    if ((await present(doing.op, name)).live) return answer.trimEnd();
    throw errnoError('EINVAL', { ...doing, what: 'the device has no live table' });
  };

  const status: DmClient['status'] = async (name, { noFlush = true } = {}) => {
    const flags = noFlush ? ['--noflush'] : [];
    const doing = { op: 'status', what: 'cannot read the status', device: name };
    return output.parseLines('status', name, await call('ask', doing, ['status', ...flags, '--', name]));
  };

  return {
    transport: 'dmsetup',
    async version() {
      const { driver } = output.parseVersions(
        await call('ask', { op: 'version', what: 'cannot ask for the version' }, ['version']),
      );
      if (driver !== undefined) return driver;
      throw new DmthinError('unsupported', { op: 'version', what: 'the kernel has no device-mapper' });
    },
    async targets() {
      return output.parseTargets(
        await call('ask', { op: 'targets', what: 'cannot list targets' }, ['targets']),
      );
    },
    list,
    info,
    async create(name, { uuid, table, readOnly = false }) {
      const doing = { op: 'create', what: 'cannot create the device', device: name };
      const flags = [...(readOnly ? ['--readonly'] : []), ...(uuid === '' ? [] : ['--uuid', uuid])];
      await call('change', doing, ['create', ...flags, '--', name], formatTable(doing, table));
      return settleNode('create', name);
    },
    async load(name, table, { readOnly = false } = {}) {
      const doing = { op: 'load', what: 'cannot load the table', device: name };
      const flags = readOnly ? ['--readonly'] : [];
      await call('change', doing, ['load', ...flags, '--', name], formatTable(doing, table));
    },
    async suspend(name, { noFlush = false, skipLockfs = false } = {}) {
      const flags = [...(noFlush ? ['--noflush'] : []), ...(skipLockfs ? ['--nolockfs'] : [])];
      const doing = { op: 'suspend', what: 'cannot suspend', device: name };
      await call(noFlush ? 'change' : 'wait', doing, ['suspend', ...flags, '--', name]);
    },
    async resume(name) {
      await call('change', { op: 'resume', what: 'cannot resume', device: name }, ['resume', '--', name]);
      return settleNode('resume', name);
    },
    async remove(name, { deferred = false } = {}) {
      const flags = deferred ? ['--deferred'] : [];
      const doing = { op: 'remove', what: 'cannot remove the device', device: name };
      await call('change', doing, ['remove', ...flags, '--', name]);
      const outcome = deferred && (await info(name))?.deferredRemove === true ? 'deferred' : 'removed';
      nodes.forget(name);
      return outcome;
    },
    async table(name) {
      const doing = { op: 'table', what: 'cannot read the table', device: name };
      return output.parseLines('table', name, await call('ask', doing, ['table', '--', name]));
    },
    status,
    message,
    async messageUnlessPresent(name, text, other) {
      if ((await info(other)) !== undefined) return undefined;
      await message(name, text);
      return status(name);
    },
    close: () => allIdle(lanes),
  };
}

/** The table as dmsetup reads it from its input; one without lines it would take for no table at all. */
function formatTable(doing: Doing, table: readonly DmLine[]): string {
  if (table.length === 0) throw errnoError('EINVAL', { ...doing, what: 'the table is empty' });
  return `${table.map(formatLine).join('\n')}\n`;
}

function refusal(doing: Doing, result: ProcessResult, errnoOfState: string | undefined): DmthinError {
  const lines = result.stderr.split('\n').filter((line) => line.trim() !== '');
  const errno = errnoOfState ?? lines.map(errnoFromWords).find((name) => name !== undefined);
  const said = lines.join('; ').slice(0, 500) || `exit code ${result.exitCode ?? 'none'}`;
  const detail = { ...doing, what: `${doing.what} (dmsetup: ${said})` };
  return errno === undefined ? new DmthinError('internal', detail) : errnoError(errno, detail);
}

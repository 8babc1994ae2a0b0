/** {@link DmClient} by ioctl: a create is three calls, and no process is started. */
import { DmthinError, hasCode, toDmthinError } from '../base/errors.ts';
import type { DmName } from '../base/units.ts';
import type { DmClient, DmInfo, DmLine } from './client.ts';
import type { DeviceNodes } from './device-nodes.ts';
import { errnoError, errnoName, errnoNumber } from './errno.ts';
import { COMMAND, FLAG, UDEV_FLAGS } from './ioctl-abi.ts';
import * as codec from './ioctl-codec.ts';
import type { IoctlPort } from './ioctl-port.ts';
import type { LaneKind } from './lanes.ts';

/** Room for the first answer to a question whose answer can be long, and the most that is tried. */
const ANSWER_BYTES = 16 * 1024;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

const ENXIO = errnoNumber('ENXIO');

/** What is being done, for an error to say. */
interface Doing {
  readonly op: string;
  readonly what: string;
}

export function createIoctlClient(port: IoctlPort, nodes: DeviceNodes): DmClient {
  const call = async (
    doing: Doing,
    command: number,
    request: codec.DmRequest,
    kind: LaneKind,
    answerBytes = 0,
  ): Promise<Buffer> => {
    const buffer = codec.encodeRequest(request, answerBytes);
    const errno = await port.call(command, buffer, kind);
    if (errno !== 0) throw errnoError(errnoName(errno), { ...doing, device: request.name });
    return buffer;
  };

  /** Asks again with more room until the answer fits. */
  const ask = async (op: string, command: number, request: codec.DmRequest): Promise<Buffer> => {
    for (let answerBytes = ANSWER_BYTES; answerBytes <= MAX_ANSWER_BYTES; answerBytes *= 4) {
      const answer = await call(
        { op, what: 'the kernel does not tell' },
        command,
        request,
        'ask',
        answerBytes,
      );
      if ((codec.decodeFlags(answer) & FLAG.bufferFull) === 0) return answer;
    }
    throw new DmthinError('internal', {
      op,
      what: `the answer is longer than ${MAX_ANSWER_BYTES} bytes`,
      device: request.name,
    });
  };

  const info = async (name: DmName): Promise<DmInfo | undefined> => {
    const answer = codec.encodeRequest({ name });
    const errno = await port.call(COMMAND.status, answer, 'ask');
    if (errno === ENXIO) return undefined;
    if (errno === 0) return codec.decodeInfo(answer);
    throw errnoError(errnoName(errno), { op: 'info', what: 'the kernel does not tell', device: name });
  };

  const load = async (
    op: string,
    name: DmName,
    table: readonly DmLine[],
    readOnly: boolean,
  ): Promise<void> => {
    await call(
      { op, what: 'cannot load the table' },
      COMMAND.load,
      {
        name,
        flags: readOnly ? FLAG.readOnly : 0,
        targetCount: table.length,
        payload: codec.encodeTable(table),
      },
      'change',
    );
  };

  const resume = async (op: string, name: DmName): Promise<DmInfo> => {
    const request = { name, eventNr: UDEV_FLAGS };
    const resumed = codec.decodeInfo(
      await call({ op, what: 'cannot resume' }, COMMAND.suspend, request, 'change'),
    );
    nodes.ensure(resumed);
    return resumed;
  };

  const remove = async (op: string, name: DmName, deferred: boolean): Promise<'removed' | 'deferred'> => {
    const request = { name, eventNr: UDEV_FLAGS, flags: deferred ? FLAG.deferredRemove : 0 };
    const answer = await call({ op, what: 'cannot remove the device' }, COMMAND.remove, request, 'change');
    const outcome = (codec.decodeFlags(answer) & FLAG.deferredRemove) === 0 ? 'removed' : 'deferred';
    nodes.forget(name);
    return outcome;
  };

  const message = async (name: DmName, text: string): Promise<string> => {
    const doing = { op: `message ${JSON.stringify(text)}`, what: 'the target refuses' };
    const request = { name, payload: codec.encodeMessage(text) };
    const answer = await call(doing, COMMAND.message, request, 'change', ANSWER_BYTES);
    const flags = codec.decodeFlags(answer);
    // Kernel 6.1 answers success for a device without a live table, and does nothing; 7.2 answers EINVAL.
    if ((flags & FLAG.activePresent) === 0) {
      throw errnoError('EINVAL', { ...doing, what: 'the device has no live table', device: name });
    }
    if ((flags & FLAG.bufferFull) !== 0) {
      // Asking again would carry the message out twice.
      throw new DmthinError('internal', {
        ...doing,
        what: `the answer is longer than ${ANSWER_BYTES} bytes`,
        device: name,
      });
    }
    return codec.decodeText(answer);
  };

  const status: DmClient['status'] = async (name, { noFlush = true } = {}) =>
    codec.decodeLines(await ask('status', COMMAND.tableStatus, { name, flags: noFlush ? FLAG.noFlush : 0 }));

  /** Takes the half-made device away again. @returns what to throw. */
  const undoCreate = async (name: DmName, failure: unknown): Promise<DmthinError> => {
    const error = toDmthinError(failure, 'create');
    try {
      await remove('create', name, false);
      return error;
    } catch (cause) {
      if (hasCode(cause, 'not_found')) return error;
      const why = toDmthinError(cause, 'create').message;
      return error.with({ what: `${error.detail.what}, and the half-made device stays: ${why}` });
    }
  };

  return {
    transport: 'ioctl',
    async version() {
      return codec.decodeVersion(await ask('version', COMMAND.version, {}));
    },
    async targets() {
      return codec.decodeTargets(await ask('targets', COMMAND.listVersions, {}));
    },
    async list() {
      return codec.decodeNames(await ask('list', COMMAND.listDevices, {}));
    },
    info,
    async create(name, { uuid, table, readOnly = false }) {
      await call(
        { op: 'create', what: 'cannot create the device' },
        COMMAND.create,
        { name, uuid },
        'change',
      );
      try {
        await load('create', name, table, readOnly);
        return await resume('create', name);
      } catch (error) {
        throw await undoCreate(name, error);
      }
    },
    load: (name, table, options) => load('load', name, table, options?.readOnly ?? false),
    async suspend(name, { noFlush = false, skipLockfs = false } = {}) {
      const flags = FLAG.suspend | (noFlush ? FLAG.noFlush : 0) | (skipLockfs ? FLAG.skipLockfs : 0);
      const kind = noFlush ? 'change' : 'wait';
      await call({ op: 'suspend', what: 'cannot suspend' }, COMMAND.suspend, { name, flags }, kind);
    },
    resume: (name) => resume('resume', name),
    remove: (name, options) => remove('remove', name, options?.deferred ?? false),
    async table(name) {
      return codec.decodeLines(await ask('table', COMMAND.tableStatus, { name, flags: FLAG.statusTable }));
    },
    status,
    message,
    async messageUnlessPresent(name, text, other) {
      if ((await info(other)) !== undefined) return undefined;
      await message(name, text);
      return status(name);
    },
    close: () => port.close(),
  };
}

/** Opens /dev/mapper/control, or says what the machine lacks. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { DmthinError, type ErrorDetail, errnoOf } from '../base/errors.ts';
import { errnoError } from './errno.ts';

const OP = 'open device-mapper';

/** What is told when the kernel has no device-mapper, however that was found out. */
export const NO_DRIVER: ErrorDetail = {
  op: OP,
  what: 'the kernel has no device-mapper',
  nextStep: 'load it: modprobe dm_thin_pool',
};

/**
 * devtmpfs makes the node together with the driver. Where /dev is no devtmpfs, devices' own nodes would be missing too:
 * so we say that instead of making this one.
 * @throws unsupported when the driver or the node is missing, or the caller may not open it.
 */
export async function openControl(dev: string, misc = '/proc/misc'): Promise<FileHandle> {
  const path = `${dev}/mapper/control`;
  try {
    return await open(path, 'r+');
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (errno === 'EPERM' || errno === 'EACCES') {
      throw errnoError(errno, { op: OP, what: `cannot open ${path}` }, error);
    }
    if (errno === 'ENODEV' || errno === 'ENXIO')
      throw new DmthinError('unsupported', { ...NO_DRIVER, errno }, error);
    if (errno !== 'ENOENT') throw error;
    const drivers = await readFile(misc, 'utf8');
    if (!/\bdevice-mapper$/m.test(drivers)) throw new DmthinError('unsupported', NO_DRIVER, error);
    throw new DmthinError(
      'unsupported',
      {
        op: OP,
        what: `the kernel has device-mapper, but there is no ${path}`,
        errno,
        nextStep: 'run with the /dev of the host, a devtmpfs: a container must mount it from there',
      },
      error,
    );
  }
}

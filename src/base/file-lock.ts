/** One process per directory: an flock(2) that the kernel gives back when the holder dies, however it dies. */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { DmthinError } from './errors.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;

export interface FileLock {
  release(): void;
}

/**
 * Takes the lock at `path`, creating the file (mode 0600) if need be, and writes our process id into it for people to read.
 * The file stays after release: unlinking it would let two holders lock two different files of one name.
 * @throws locked when another process holds it.
 */
export function acquireFileLock(path: string): FileLock {
  const flock = koffi.load(null).func('int flock(int fd, int operation)');
  const fd = openSync(path, 'a+', 0o600);
  if (flock(fd, LOCK_EX | LOCK_NB) !== 0) {
    const errno = koffi.errno();
    closeSync(fd);
    if (errno !== koffi.os.errno['EWOULDBLOCK'] && errno !== koffi.os.errno['EAGAIN']) {
      throw new DmthinError('internal', { op: 'lock', what: `flock of ${path} failed with errno ${errno}` });
    }
    const holder = readFileSync(path, 'utf8').trim();
    throw new DmthinError('locked', {
      op: 'lock',
      what: `another dmthin${holder === '' ? '' : ` (process ${holder})`} uses this state directory: ${path} is locked`,
      errno: 'EWOULDBLOCK',
      nextStep: 'stop the other daemon, or give this one a root_path and an address of its own',
    });
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  return { release: () => closeSync(fd) };
}

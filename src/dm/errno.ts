/**
 * The one place that knows errno: numbers, names, libc's words for them, and the error code each one means here.
 * Numbers are those of asm-generic, which x86-64 and arm64 share.
 */
import { DmthinError, type ErrorCode, type ErrorDetail } from '../base/errors.ts';

/** Index = errno. Empty where Linux has none. */
const NAMES: readonly string[] = (
  ' EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST' +
  ' EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM' +
  ' ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP  ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG' +
  ' EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT  EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG' +
  ' EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC' +
  ' ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE' +
  ' ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN' +
  ' ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT' +
  ' ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT' +
  ' ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL' +
  ' EHWPOISON'
).split(' ');

/** `EBUSY` for 16; `errno 999` for a number that Linux does not define. */
export function errnoName(errno: number): string {
  const name = NAMES[errno];
  return name === undefined || name === '' ? `errno ${errno}` : name;
}

/** 16 for `EBUSY`; undefined for a name that Linux does not define. */
export function errnoNumber(name: string): number | undefined {
  const number = name === '' ? -1 : NAMES.indexOf(name);
  return number === -1 ? undefined : number;
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  EBUSY: 'busy',
  ENXIO: 'not_found',
  ENODEV: 'not_found',
  ENODATA: 'not_found',
  EEXIST: 'already_exists',
  ENOSPC: 'resource_exhausted',
  EOPNOTSUPP: 'unavailable',
  EPERM: 'unsupported',
  EACCES: 'unsupported',
  EINVAL: 'invalid_argument',
};

/** What an errno of a device-mapper request means, as promised in client.ts; `internal` for those not promised. */
export function errnoCode(name: string): ErrorCode {
  return CODES[name] ?? 'internal';
}

/** What dm's persistent-data answers for a block whose checksum is wrong, by kernel: ENOTBLK or EILSEQ. */
const METADATA_DAMAGED =
  "a block of the pool's metadata does not hold what was written to it: repair it as docs/recovery.md tells, 'The metadata is broken'";

/** The next step that holds whatever was being done; callers that know better give their own. */
const NEXT_STEPS: Readonly<Record<string, string>> = {
  EBUSY: 'see who holds the device: findmnt, lsblk, dmsetup ls --tree',
  EPERM: 'run as root with CAP_SYS_ADMIN; if it does, the kernel log has the reason: dmesg',
  EACCES: 'run as root with CAP_SYS_ADMIN; if it does, the kernel log has the reason: dmesg',
  EINVAL: 'the kernel log has the reason: dmesg | grep device-mapper',
  EIO: 'the kernel log has the reason: dmesg',
  EOPNOTSUPP: 'look at the pool: dmsetup status; a pool that is read-only or failed needs a repair',
  ENOSPC: 'grow the pool or remove snapshots',
  ENOTBLK: METADATA_DAMAGED,
  EILSEQ: METADATA_DAMAGED,
};

/** The error for an errno that the kernel answered, with its code, name and a next step. */
export function errnoError(name: string, detail: ErrorDetail, cause?: unknown): DmthinError {
  return new DmthinError(
    errnoCode(name),
    { ...detail, errno: name, nextStep: detail.nextStep ?? NEXT_STEPS[name] },
    cause,
  );
}

/**
 * What libc's strerror says in the C locale, for the errnos that device-mapper answers: glibc's words and, where they
 * differ, musl's. Only for programs that report nothing better; see docs/decisions/0002-device-mapper-transport.md.
 */
const WORDS: readonly (readonly [words: string, name: string])[] = [
  ['Operation not permitted', 'EPERM'],
  ['No such file or directory', 'ENOENT'],
  ['Interrupted system call', 'EINTR'],
  ['Input/output error', 'EIO'],
  ['I/O error', 'EIO'],
  ['No such device or address', 'ENXIO'],
  ['Cannot allocate memory', 'ENOMEM'],
  ['Out of memory', 'ENOMEM'],
  ['Permission denied', 'EACCES'],
  ['Device or resource busy', 'EBUSY'],
  ['Resource busy', 'EBUSY'],
  ['File exists', 'EEXIST'],
  ['No such device', 'ENODEV'],
  ['Invalid argument', 'EINVAL'],
  ['Inappropriate ioctl for device', 'ENOTTY'],
  ['Not a tty', 'ENOTTY'],
  ['No space left on device', 'ENOSPC'],
  ['Read-only file system', 'EROFS'],
  ['Numerical result out of range', 'ERANGE'],
  ['Result not representable', 'ERANGE'],
  ['No data available', 'ENODATA'],
  ['Operation not supported', 'EOPNOTSUPP'],
  ['Not supported', 'EOPNOTSUPP'],
  ['Invalid or incomplete multibyte or wide character', 'EILSEQ'],
  ['Illegal byte sequence', 'EILSEQ'],
  ['Structure needs cleaning', 'EUCLEAN'],
];

/** The errno whose words end `line`, as in `...failed: Device or resource busy`; undefined when none does. */
export function errnoFromWords(line: string): string | undefined {
  const text = line.trimEnd().replace(/\.$/, '');
  return WORDS.find(([words]) => text === words || text.endsWith(`: ${words}`))?.[1];
}

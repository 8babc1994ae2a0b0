/**
 * Numbers of the device-mapper ioctl interface, version 4: <linux/dm-ioctl.h>.
 * The layout is the same on x86-64 and arm64: little-endian, natural alignment.
 */

/** Sent in every request; the kernel answers its own. */
export const INTERFACE_VERSION = [4, 0, 0] as const;

/** Offsets in struct dm_ioctl, which begins every request and answer. */
export const HEADER = {
  version: 0,
  dataSize: 12,
  dataStart: 16,
  targetCount: 20,
  openCount: 24,
  flags: 28,
  eventNr: 32,
  dev: 40,
  name: 48,
  uuid: 176,
  bytes: 312,
} as const;

export const NAME_BYTES = 128;
export const UUID_BYTES = 129;

/** Offsets in struct dm_target_spec; the parameters follow it, ended by a zero byte. */
export const TARGET_SPEC = { start: 0, length: 8, next: 20, type: 24, bytes: 40 } as const;
export const TARGET_TYPE_BYTES = 16;

/** Offsets in struct dm_name_list; the name follows, ended by a zero byte. */
export const NAME_LIST = { dev: 0, next: 8, name: 12 } as const;

/** Offsets in struct dm_target_versions; the name follows, ended by a zero byte. */
export const TARGET_VERSIONS = { next: 0, version: 4, name: 16 } as const;

/** Offset of the text in struct dm_target_msg, after the sector. */
export const MESSAGE_TEXT = 8;

/** _IOWR(0xfd, n, struct dm_ioctl). */
export const COMMAND = {
  version: 0xc138_fd00,
  listDevices: 0xc138_fd02,
  create: 0xc138_fd03,
  remove: 0xc138_fd04,
  /** Suspends with {@link FLAG.suspend}, resumes without. */
  suspend: 0xc138_fd06,
  status: 0xc138_fd07,
  load: 0xc138_fd09,
  tableStatus: 0xc138_fd0c,
  listVersions: 0xc138_fd0d,
  message: 0xc138_fd0e,
  /** Arms poll(2) on the file that the call came through, since 4.37. */
  armPoll: 0xc138_fd10,
} as const;

export const FLAG = {
  readOnly: 1 << 0,
  suspend: 1 << 1,
  statusTable: 1 << 4,
  activePresent: 1 << 5,
  inactivePresent: 1 << 6,
  bufferFull: 1 << 8,
  skipLockfs: 1 << 10,
  noFlush: 1 << 11,
  deferredRemove: 1 << 17,
} as const;

/**
 * What udev is asked to do, sent as the event number of resume and remove: PRIMARY_SOURCE, so that it knows the flags again at
 * events of others; DISABLE_DM_RULES, so that it keeps away from the link in /dev/mapper, which is ours alone;
 * DISABLE_SUBSYSTEM, DISABLE_DISK, DISABLE_OTHER, so that nobody scans the device and holds it open. The cookie itself
 * is 0: no semaphore to wait for or to leak.
 */
export const UDEV_FLAGS = 0x004f_0000;

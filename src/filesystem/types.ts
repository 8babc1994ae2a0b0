/** The filesystems that a snapshot can carry. */
export const FS_TYPES = ['ext4', 'xfs', 'ext2'] as const;
export type FsType = (typeof FS_TYPES)[number];

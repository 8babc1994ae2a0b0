/** Versions of containerd, and what every one of them has built in. */

export interface ContainerdVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** Snapshotters compiled into containerd: a proxy plugin of the same name ends its start with "id already registered". */
export const BUILT_IN_SNAPSHOTTERS: readonly string[] = [
  'devmapper',
  'overlayfs',
  'native',
  'btrfs',
  'zfs',
  'blockfile',
  'erofs',
];

/** @returns undefined when the text has no version in it. Accepts `1.7.2`, `v2.1`, and what `containerd --version` prints. */
export function parseContainerdVersion(text: string): ContainerdVersion | undefined {
  const match = /(?:^|\s)v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
}

export function formatContainerdVersion({ major, minor, patch }: ContainerdVersion): string {
  return `${major}.${minor}.${patch}`;
}

export function atLeast(version: ContainerdVersion, major: number, minor: number, patch: number): boolean {
  const difference = version.major - major || version.minor - minor || version.patch - patch;
  return difference >= 0;
}

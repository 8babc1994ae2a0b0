/** The package's description for dpkg. Pure. Source: Debian Policy, chapter 5. */

/** Debian's name of an architecture, and npm's. */
export const ARCHITECTURES = { amd64: 'x64', arm64: 'arm64' } as const;
export type Architecture = keyof typeof ARCHITECTURES;

/**
 * libc6: what Node's own builds need. The others are the programs that the daemon runs, and those that an operator needs on the
 * day when a pool must be looked at.
 */
const DEPENDS = [
  'libc6 (>= 2.28)',
  'libstdc++6',
  'dmsetup (>= 2:1.02.110)',
  'e2fsprogs',
  'kmod',
  'mount',
  'thin-provisioning-tools',
  'util-linux',
];
const RECOMMENDS = ['containerd | containerd.io'];
const SUGGESTS = ['xfsprogs'];

export interface ControlOptions {
  readonly version: string;
  readonly architecture: Architecture;
  readonly installedKiB: number;
}

export function renderControl({ version, architecture, installedKiB }: ControlOptions): string {
  return `Package: dmthin
Version: ${version}
Architecture: ${architecture}
Maintainer: dmthin maintainers <maintainers@dmthin.invalid>
Installed-Size: ${installedKiB}
Depends: ${DEPENDS.join(', ')}
Recommends: ${RECOMMENDS.join(', ')}
Suggests: ${SUGGESTS.join(', ')}
Section: admin
Priority: optional
Description: containerd snapshotter on device-mapper thin devices
 A proxy plugin for containerd that keeps image layers and container root
 filesystems on thin devices of a device-mapper thin pool: block devices for
 Kata Containers and Firecracker, and a hard size limit for every container.
 .
 The Node runtime that it is tested with is inside.
`;
}

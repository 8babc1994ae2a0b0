/** From facts to findings: one judgement for each check. Pure. */
import { CHECK_NAMES, type CheckName } from './checks.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import {
  judgeBuiltIn,
  judgeContainerd,
  judgeCri,
  judgeProxyPlugin,
  judgeUnpack,
} from './judge-containerd.ts';
import {
  judgeConfig,
  judgeDaemon,
  judgeDeviceMapper,
  judgeDmsetup,
  judgeFilesystem,
  judgeLimits,
  judgeRights,
  judgeStoreSpace,
  judgeTargets,
  judgeThinTools,
  judgeUdev,
} from './judge-machine.ts';
import {
  judgeDataSpace,
  judgeFileSpace,
  judgeGeometry,
  judgeMetadataSpace,
  judgePool,
} from './judge-pool.ts';

const JUDGES = {
  rights: judgeRights,
  config: judgeConfig,
  'device-mapper': judgeDeviceMapper,
  targets: judgeTargets,
  dmsetup: judgeDmsetup,
  filesystem: judgeFilesystem,
  'thin-tools': judgeThinTools,
  pool: judgePool,
  geometry: judgeGeometry,
  'data-space': judgeDataSpace,
  'metadata-space': judgeMetadataSpace,
  'file-space': judgeFileSpace,
  'store-space': judgeStoreSpace,
  udev: judgeUdev,
  limits: judgeLimits,
  containerd: judgeContainerd,
  'proxy-plugin': judgeProxyPlugin,
  'built-in': judgeBuiltIn,
  cri: judgeCri,
  unpack: judgeUnpack,
  daemon: judgeDaemon,
} as const satisfies Record<CheckName, (facts: Facts) => Finding>;

export interface NamedFinding extends Finding {
  readonly check: CheckName;
}

/** In the order of {@link CHECK_NAMES}. */
export function judge(facts: Facts): NamedFinding[] {
  return CHECK_NAMES.map((check) => ({ check, ...JUDGES[check](facts) }));
}

/** Judgements about the pool. Pure. */
import { formatSize } from '../base/units.ts';
import { DEFAULT_FLOORS, type Floor, freePercent, isBelow, POOL_REPAIR } from '../pool/health.ts';
import { METADATA_BYTES_PER_BLOCK } from '../pool/provision-geometry.ts';
import type { Facts } from './facts.ts';
import { failed, type Finding, ok, problem, unseen, warning } from './finding.ts';

export function judgePool({ pool }: Facts): Finding {
  if (pool.kind === 'unseen') return unseen(pool.why);
  if (pool.kind === 'failed') return failed(pool.error, 'dmthin pool create NAME makes or assembles it');
  const { name, mode, suspended, figures, activeThins, raw } = pool.value;
  if (mode === 'fail' || mode === 'error') return problem(`${name} has failed: ${raw}`, POOL_REPAIR);
  if (figures?.needsCheck === true) return problem(`${name} needs a check: ${raw}`, POOL_REPAIR);
  if (mode === 'ro') {
    return problem(
      `${name} is read-only: ${raw}`,
      `dmesg has the reason; when its metadata is full or damaged: ${POOL_REPAIR}`,
    );
  }
  if (mode === 'out_of_data_space') {
    return problem(`${name} is out of data space: ${raw}`, 'remove images and containers, or grow the pool');
  }
  if (suspended) {
    return problem(
      `${name} is suspended: every write waits`,
      `dmsetup resume ${name}, unless somebody is at work on it`,
    );
  }
  return ok(`${name} is read-write, ${activeThins.length} devices active`);
}

export function judgeGeometry({ pool, config }: Facts): Finding {
  if (pool.kind !== 'known' || pool.value.figures === undefined) return unseen('the pool tells no figures');
  const { figures, blockBytes, features, backing, name } = pool.value;
  const { data, metadata } = figures;
  const wanted = (data.totalBytes / blockBytes) * METADATA_BYTES_PER_BLOCK;
  if (metadata.totalBytes < wanted) {
    return warning(
      `${formatSize(metadata.totalBytes)} of metadata cannot map ${formatSize(data.totalBytes)} of data in blocks of ${formatSize(blockBytes)}, which take about ${formatSize(wanted)}: metadata runs full first, and that needs a repair`,
      'grow the metadata device',
    );
  }
  const discards = config.ok && config.config.discardBlocks;
  if (discards && features.includes('ignore_discard')) {
    return warning(
      'discard_blocks = true, and the pool has the feature ignore_discard: nothing is discarded',
      `make ${name} again without ignore_discard, or set discard_blocks = false`,
    );
  }
  if (discards && features.includes('no_discard_passdown') && backing.data.file !== undefined) {
    return warning(
      `discard_blocks = true, and the pool has the feature no_discard_passdown: ${backing.data.file} never shrinks`,
      `make ${name} again without no_discard_passdown`,
    );
  }
  return ok(`blocks of ${formatSize(blockBytes)}, ${formatSize(metadata.totalBytes)} of metadata`);
}

/** Below these shares somebody should act; below the configured floors dmthin makes nothing new. */
const WARN_PERCENT = { data: 10, metadata: 15 } as const;

export function judgeDataSpace(facts: Facts): Finding {
  return judgeSpace(facts, 'data');
}

export function judgeMetadataSpace(facts: Facts): Finding {
  return judgeSpace(facts, 'metadata');
}

function judgeSpace({ pool, config }: Facts, kind: 'data' | 'metadata'): Finding {
  if (pool.kind !== 'known' || pool.value.figures === undefined) return unseen('the pool tells no figures');
  const { usedBytes, totalBytes } = pool.value.figures[kind];
  const hasLess = (floor: Floor): boolean => isBelow(usedBytes, totalBytes, 1, floor);
  const floors = config.ok ? config.config.pool.floors : DEFAULT_FLOORS;
  const what = `${freePercent(usedBytes, totalBytes).toFixed(1)} % free of ${formatSize(totalBytes)}`;
  const remedy = 'remove images and containers, or grow the pool (dmthin pool extend, or your own way)';
  if (hasLess(floors[kind])) return problem(`${what}: new snapshots are refused`, remedy);
  const isLow = kind === 'data' && hasLess({ bytes: pool.value.lowWaterBytes });
  return isLow || hasLess({ percent: WARN_PERCENT[kind] }) ? warning(what, remedy) : ok(what);
}

export function judgeFileSpace({ pool, fileFreeBytes }: Facts): Finding {
  if (pool.kind !== 'known') return unseen('the pool is not there');
  if (fileFreeBytes.kind === 'unseen') return unseen(fileFreeBytes.why);
  if (fileFreeBytes.kind === 'failed') return failed(fileFreeBytes.error, "look at the file's directory");
  const { file, allocatedBytes } = pool.value.backing.data;
  const free = fileFreeBytes.value;
  if (file === undefined || free === undefined) return ok('the pool stands on disks');
  const total = pool.value.figures?.data.totalBytes ?? 0;
  const mayGrow = Math.max(0, total - (allocatedBytes ?? 0));
  const what = `${file} may grow by ${formatSize(mayGrow)}, its filesystem has ${formatSize(free)} free`;
  if (free >= mayGrow) return ok(what);
  return warning(`${what}: when that is full, writes fail`, 'free space there, or move the pool to a disk');
}

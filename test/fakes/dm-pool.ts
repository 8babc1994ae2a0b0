/** The fake kernel's thin-pool: its metadata, the messages that change it, and its status line. */
import { MAX_DEVICE_ID } from '../../src/base/units.ts';
import type { PoolTable } from '../../src/dm/tables.ts';

/** Thrown by the fake kernel where the real one answers an errno. */
export class Errno extends Error {
  override readonly name = 'Errno';
  readonly errno: string;
  constructor(errno: string, what: string) {
    super(what);
    this.errno = errno;
  }
}

export interface FakeThin {
  mappedSectors: number;
}

/** What is on a metadata device: it outlives the pool device, a daemon's crash and a reboot. Tests may set every field. */
export interface FakePoolMetadata {
  transactionId: bigint;
  readonly thins: Map<number, FakeThin>;
  heldRoot: number | undefined;
  mode: 'rw' | 'ro' | 'out_of_data_space' | 'fail';
  needsCheck: boolean;
  /** Undefined: as many blocks as the thins map, shared ones counted for each. */
  usedDataBlocks: number | undefined;
  usedMetadataBlocks: number;
  totalMetadataBlocks: number;
}

export function createPoolMetadata(): FakePoolMetadata {
  return {
    transactionId: 0n,
    thins: new Map(),
    heldRoot: undefined,
    mode: 'rw',
    needsCheck: false,
    usedDataBlocks: undefined,
    usedMetadataBlocks: 10,
    totalMetadataBlocks: 4096,
  };
}

const ARGUMENTS: Readonly<Record<string, number>> = {
  create_thin: 1,
  create_snap: 2,
  delete: 1,
  set_transaction_id: 2,
};

/**
 * Does what the message asks.
 * @param isActive whether a thin device with this id has a table in the kernel.
 */
export function poolMessage(
  pool: FakePoolMetadata,
  table: PoolTable,
  message: string,
  isActive: (id: number) => boolean,
): void {
  const mode = effectiveMode(pool, table);
  if (mode === 'ro' || mode === 'fail') throw new Errno('EOPNOTSUPP', 'pool cannot be changed');
  const [verb = '', first, second, ...rest] = message.split(' ').filter((word) => word !== '');
  const wants = ARGUMENTS[verb] ?? 0;
  const has = [first, second, ...rest].filter((word) => word !== undefined).length;
  if (has !== wants) throw new Errno('EINVAL', `${verb} takes ${wants} words`);
  switch (verb) {
    case 'create_thin':
      addThin(pool, thinId(first), 0);
      return;
    case 'create_snap': {
      const id = thinId(first);
      if (pool.thins.has(id)) throw new Errno('EEXIST', `thin ${id} exists`);
      const origin = pool.thins.get(thinId(second));
      if (origin === undefined) throw new Errno('ENODATA', `no origin ${second ?? ''}`);
      addThin(pool, id, origin.mappedSectors);
      return;
    }
    case 'delete': {
      const id = thinId(first);
      if (!pool.thins.has(id)) throw new Errno('ENODATA', `no thin ${id}`);
      if (isActive(id)) throw new Errno('EBUSY', `thin ${id} is active`);
      pool.thins.delete(id);
      return;
    }
    case 'set_transaction_id':
      if (!/^\d+$/.test(first ?? '') || !/^\d+$/.test(second ?? '')) throw new Errno('EINVAL', 'bad number');
      if (BigInt(first ?? '') !== pool.transactionId) throw new Errno('EINVAL', 'transaction id differs');
      pool.transactionId = BigInt(second ?? '');
      return;
    case 'reserve_metadata_snap':
      if (pool.heldRoot !== undefined) throw new Errno('EBUSY', 'a snapshot is held');
      pool.heldRoot = pool.usedMetadataBlocks;
      return;
    case 'release_metadata_snap':
      if (pool.heldRoot === undefined) throw new Errno('EINVAL', 'no snapshot is held');
      pool.heldRoot = undefined;
      return;
    default:
      throw new Errno('EINVAL', `unknown message ${message}`);
  }
}

function addThin(pool: FakePoolMetadata, id: number, mappedSectors: number): void {
  if (pool.thins.has(id)) throw new Errno('EEXIST', `thin ${id} exists`);
  pool.thins.set(id, { mappedSectors });
}

function thinId(word: string | undefined): number {
  const id = /^\d+$/.test(word ?? '') ? Number(word) : -1;
  if (id < 0 || id > MAX_DEVICE_ID) throw new Errno('EINVAL', `bad thin id ${word ?? ''}`);
  return id;
}

function effectiveMode(pool: FakePoolMetadata, table: PoolTable): FakePoolMetadata['mode'] {
  return table.features.includes('read_only') && pool.mode !== 'fail' ? 'ro' : pool.mode;
}

/** The parameters of the pool's status line. */
export function poolStatusParams(pool: FakePoolMetadata, table: PoolTable): string {
  if (pool.mode === 'fail') return 'Fail';
  const mapped = [...pool.thins.values()].reduce((sum, thin) => sum + thin.mappedSectors, 0);
  const usedData = pool.usedDataBlocks ?? Math.ceil(mapped / table.blockSectors);
  const discard = table.features.includes('ignore_discard')
    ? 'ignore_discard'
    : table.features.includes('no_discard_passdown')
      ? 'no_discard_passdown'
      : 'discard_passdown';
  return [
    pool.transactionId,
    `${pool.usedMetadataBlocks}/${pool.totalMetadataBlocks}`,
    `${usedData}/${Math.floor(table.length / table.blockSectors)}`,
    pool.heldRoot ?? '-',
    effectiveMode(pool, table),
    discard,
    table.features.includes('error_if_no_space') ? 'error_if_no_space' : 'queue_if_no_space',
    pool.needsCheck ? 'needs_check' : '-',
    1024,
  ].join(' ');
}

/** A scenario: an operation that dies at each of its points, again and again on one pool. */
import type { Config } from '../../src/daemon/config.ts';
import { hasCode, type ErrorCode } from '../../src/base/errors.ts';
import type { SnapshotsClient } from '../../src/grpc/client.ts';
import type { VictimTransport } from './victim-dm.ts';
import type { Victim } from './victim-process.ts';
import type { World, WorldOptions } from './world.ts';

/** One crash and what comes after it. */
export interface Round {
  readonly world: World;
  readonly victim: Victim;
  readonly client: SnapshotsClient;
  /** A key that belongs to this round. */
  readonly key: string;
}

export interface Scenario {
  readonly name: string;
  /** How many operations of a caller die in it; a start of the daemon counts as one. */
  readonly operations: number;
  readonly transport: VictimTransport;
  readonly config?: (round: number, world: World) => Partial<Config>;
  /** `operation`: the running daemon dies. `start`: the next daemon dies while it starts, after `before`. */
  readonly dies: 'operation' | 'start';
  /** A world that is used for nothing else. */
  readonly ownWorld?: WorldOptions;
  /** Its world does not get the layer that most scenarios build on. */
  readonly noLayer?: boolean;
  /** Makes what the operation needs; of a start: lets the daemon before it die. */
  readonly before?: (round: Round) => Promise<void>;
  /** What dies. Not for `start`. */
  readonly operate?: (round: Round) => Promise<void>;
  /** The next daemon serves: what must be undone from outside before its state is looked at. */
  readonly afterStart?: (round: Round) => Promise<void>;
  /** The interrupted request, under the same key and under a new one, and what it must have left. */
  readonly repeat?: (round: Round) => Promise<void>;
  /** Takes away what the round made. */
  readonly after?: (round: Round) => Promise<void>;
}

/**
 * Asks again for what a crash interrupted. When the answer is `refusal`, the first time had been enough.
 * @returns whether it was done now.
 */
export async function again(request: Promise<unknown>, refusal: ErrorCode): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (error) {
    if (hasCode(error, refusal)) return false;
    throw error;
  }
}

/** Removes those of `keys` that exist. */
export async function removeAll(client: SnapshotsClient, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await again(client.remove(key), 'not_found');
}

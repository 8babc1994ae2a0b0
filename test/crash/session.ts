/** A world with the victim that serves on it, kept from round to round and from scenario to scenario. */
import type { Config } from '../../src/daemon/config.ts';
import { makeLayer } from './layer.ts';
import type { Round } from './scenario.ts';
import type { VictimTransport } from './victim-dm.ts';
import { startVictim, type Victim } from './victim-process.ts';
import { createWorld, type World, type WorldOptions } from './world.ts';

/** How a victim is started. */
export interface Start {
  readonly config: Config;
  readonly transport: VictimTransport;
}

export interface SessionOptions {
  readonly mutation?: string | undefined;
  readonly compileCache: string;
  readonly world?: WorldOptions | undefined;
}

export interface Session extends AsyncDisposable {
  readonly world: World;
  /** @returns the number of the next round. */
  nextRound(): number;
  /** The victim that serves now, started for it, or anew when the one before was started in another way. */
  serving(start: Start): Promise<Victim>;
  /** Starts a victim that dies at that point. @returns it when it did not: then it serves. */
  startToDie(start: Start, killAt: number | undefined): Promise<Victim | undefined>;
  /** The victim has died as it should. */
  died(): void;
  /** Ends the victim in the way that a service manager does. */
  stop(): Promise<void>;
  /** Makes the layer that most scenarios build on, once. */
  ensureLayer(transport: VictimTransport): Promise<void>;
  roundOf(victim: Victim, number: number): Round;
}

export async function createSession(options: SessionOptions): Promise<Session> {
  const world = await createWorld(options.world);
  let number = 0;
  let victim: Victim | undefined;
  let startedAs = '';

  async function startToDie(start: Start, killAt: number | undefined): Promise<Victim | undefined> {
    const started = await startVictim({ ...start, ...options, killAt });
    if (!('died' in started)) {
      victim = started;
      startedAs = JSON.stringify(start);
      return started;
    }
    if (killAt !== undefined && started.died === 'SIGKILL') return undefined;
    throw new Error(`the victim did not start, but ended (${started.died}): ${started.output}`);
  }

  async function stop(): Promise<void> {
    const end = await victim?.stop();
    victim = undefined;
    if (end !== undefined && end !== 0) throw new Error(`the daemon ended with ${end}`);
  }

  async function serving(start: Start): Promise<Victim> {
    if (JSON.stringify(start) !== startedAs) await stop();
    const current = victim ?? (await startToDie(start, undefined));
    if (current === undefined) throw new Error('the victim died without having been told to');
    return current;
  }

  const roundOf = (current: Victim, of: number): Round => ({
    ...{ world, victim: current, client: current.client },
    key: `k${of}`,
  });

  return {
    ...{ world, serving, startToDie, stop, roundOf },
    nextRound: () => (number += 1),
    died() {
      victim?.client.close();
      victim = undefined;
    },
    async ensureLayer(transport) {
      if (world.contents.size > 0) return;
      await makeLayer(roundOf(await serving({ config: world.config(), transport }), 0));
    },
    async [Symbol.asyncDispose]() {
      await victim?.[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

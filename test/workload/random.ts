/** Chance that can be had again: everything drawn follows from the seed. */
import { createCipheriv } from 'node:crypto';

export interface Random {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number;
  /** True in so many of a hundred cases. */
  percent(share: number): boolean;
  /** @returns undefined when there is nothing to choose from. */
  pick<T>(items: readonly T[]): T | undefined;
  /** Bytes that cannot be compressed or shared. */
  bytes(length: number): Buffer;
  /** A source of its own, which depends on nothing but this seed and `name`. */
  fork(name: string | number): Random;
}

export function createRandom(seed: number, path = ''): Random {
  let state = mix(seed, path);
  // The generator is the one called splitmix32.
  function next(): number {
    state = (state + 0x9e3779b9) >>> 0;
    let value = state;
    value = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
    value = Math.imul(value ^ (value >>> 15), 0x735a2d97);
    return (value ^ (value >>> 15)) >>> 0;
  }
  const below = (limit: number): number => Math.floor((next() / 2 ** 32) * limit);
  return {
    below,
    percent: (share) => below(100) < share,
    pick: (items) => items[below(items.length)],
    bytes(length) {
      const key = Buffer.alloc(16);
      for (let at = 0; at < 16; at += 4) key.writeUInt32LE(next(), at);
      return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
    },
    fork: (name) => createRandom(seed, `${path}/${name}`),
  };
}

/** FNV-1a over the path, begun with the seed. */
function mix(seed: number, path: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (const byte of Buffer.from(path)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** A seed that nobody chose. */
export function freshSeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}

/** A whole number given on a command line; undefined when none was given. @throws Error when it is none. */
export function parseNatural(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new Error(`${text} is not a whole number`);
}

/**
 * Integer hashing and random streams. Everything random in a sketch comes from here, so the same
 * input gives the same picture in every engine.
 */

const UINT32 = 4_294_967_296;

/** A well-mixed 32-bit hash of a text's UTF-16 code units. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hashAt(hash, text.length, 0);
}

/** A 32-bit hash of a cell (whole numbers) under a key. */
export function hashAt(key: number, x: number, y: number): number {
  let hash = key ^ Math.imul(x, 0x27d4eb2d) ^ Math.imul(y, 0x165667b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The key of a named part of a picture: removing one part never moves another. */
export function subkey(key: number, name: string): number {
  return hashAt(key, hashText(name), 1);
}

/** Each call gives the next number of the stream, in [0, 1). */
export type Random = () => number;

export function createRandom(key: number): Random {
  let state = key >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    return hashAt(state, 0, 0) / UINT32;
  };
}

export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random();
}

export function pick<T>(random: Random, items: readonly [T, ...T[]]): T {
  return items[Math.floor(random() * items.length)] ?? items[0];
}

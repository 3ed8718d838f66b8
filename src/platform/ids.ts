/**
 * Ids are `<prefix>_<cell><time><random>`: the cell names the shard that holds the object (`0`
 * today), the time makes ids sortable by creation, and 80 random bits make them unguessable.
 */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_CHARS = 10;
const RANDOM_CHARS = 16;
const CELL = '0';

export type IdPrefix = 'req' | 'usr' | 'key' | 'dlv' | 'ded';
export type Id<Prefix extends IdPrefix> = `${Prefix}_${string}`;
export type RequestId = Id<'req'>;
export type UserId = Id<'usr'>;
export type KeyId = Id<'key'>;
export type DeliveryId = Id<'dlv'>;

/** The part after the prefix: cell, time and random, always 27 characters. */
export const ID_BODY_PATTERN = `[0-9a-hjkmnp-tv-z]{${1 + TIME_CHARS + RANDOM_CHARS}}`;

export function newId<Prefix extends IdPrefix>(prefix: Prefix, now: number): Id<Prefix> {
  const random = crypto.getRandomValues(new Uint8Array(RANDOM_CHARS));
  let suffix = '';
  for (const byte of random) suffix += ALPHABET[byte & 31];
  return `${prefix}_${CELL}${encodeTime(now)}${suffix}`;
}

const PATTERNS = new Map<IdPrefix, RegExp>();

/** Says whether `value` has the shape of an id; whether such an object exists is another question. */
export function isId<Prefix extends IdPrefix>(prefix: Prefix, value: string): value is Id<Prefix> {
  let pattern = PATTERNS.get(prefix);
  if (!pattern) {
    pattern = new RegExp(`^${prefix}_${ID_BODY_PATTERN}$`);
    PATTERNS.set(prefix, pattern);
  }
  return pattern.test(value);
}

function encodeTime(now: number): string {
  let rest = Math.floor(now);
  let text = '';
  for (let index = 0; index < TIME_CHARS; index += 1) {
    text = ALPHABET[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

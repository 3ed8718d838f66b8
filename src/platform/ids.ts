/**
 * Ids are `<prefix>_<cell><time><random>`: the cell names where the object is held and never changes,
 * the time makes ids sortable by creation, and 80 random bits make them unguessable.
 */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_CHARS = 10;
const RANDOM_CHARS = 16;

/** `0`: anywhere. `e`: the European Union. What belongs to a user has the user's cell. */
export const cells = ['0', 'e'] as const;
export type Cell = (typeof cells)[number];
const CELL_AT = 4;

export type IdPrefix = 'req' | 'usr' | 'key' | 'whk' | 'dlv' | 'ded' | 'aud';
export type Id<Prefix extends IdPrefix> = `${Prefix}_${string}`;
export type RequestId = Id<'req'>;
export type UserId = Id<'usr'>;
export type KeyId = Id<'key'>;
/** Of a webhook endpoint. */
export type EndpointId = Id<'whk'>;
export type DeliveryId = Id<'dlv'>;
export type AuditId = Id<'aud'>;

/** The part after the prefix: cell, time and random, always 27 characters. */
export const ID_BODY_PATTERN = `[0e][0-9a-hjkmnp-tv-z]{${TIME_CHARS + RANDOM_CHARS}}`;

export function newId<Prefix extends IdPrefix>(
  prefix: Prefix,
  now: number,
  cell: Cell = '0',
): Id<Prefix> {
  const random = crypto.getRandomValues(new Uint8Array(RANDOM_CHARS));
  let suffix = '';
  for (const byte of random) suffix += ALPHABET[byte & 31];
  return `${prefix}_${cell}${encodeTime(now)}${suffix}`;
}

/** No id of an earlier moment sorts behind it, and none of this moment or a later one before it. */
export const firstIdAt = (prefix: IdPrefix, at: number, cell: Cell): string =>
  `${prefix}_${cell}${encodeTime(Math.max(0, at))}`;

/** For an id that `isId` takes; a cell that does not exist is none of ours. */
export function cellOf(id: Id<IdPrefix>): Cell {
  return id.charAt(CELL_AT) === 'e' ? 'e' : '0';
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

/** When an id that `isId` takes was made, epoch ms. */
export function madeAt(id: Id<IdPrefix>): number {
  const time = id.slice(CELL_AT + 1, CELL_AT + 1 + TIME_CHARS);
  return [...time].reduce((total, char) => total * 32 + ALPHABET.indexOf(char), 0);
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

/**
 * The text of an API key: `fm_` + base64url(version ‖ user id ‖ key id ‖ secret ‖ MAC) + checksum.
 * The checksum lets anybody who searches texts for leaked keys know one from noise; the MAC proves
 * without a look-up that Foreman issued the key and whose it is; the foreman says whether it is still
 * active. The bytes divide by three, so base64url has no spare bits and each key has one spelling only.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { isId } from '../../platform/ids';
import type { KeyCredential, KeyId, UserId, Whence } from '../types';

const PREFIX = 'fm_';
const ID_PREFIX_CHARS = 4;
const ID_BYTES = 27;
const SECRET_BYTES = 24;
/** 160 of HMAC-SHA-256's 256 bits: far beyond guessing, and it makes the whole divisible by three. */
const MAC_BYTES = 20;

const USER_AT = 1;
const KEY_AT = USER_AT + ID_BYTES;
const SECRET_AT = KEY_AT + ID_BYTES;
const MAC_AT = SECRET_AT + SECRET_BYTES;
const BYTES_CHARS = ((MAC_AT + MAC_BYTES) / 3) * 4;

/** In base62, as GitHub's tokens have it: 32 bits take six characters. */
const CHECKSUM_CHARS = 6;
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Set in the first byte of a key that has a checksum; the other bits are the MAC version. */
const HAS_CHECKSUM = 0x80;
/** The only version of the keys from before there were checksums. */
const BARE_VERSION = 1;
const BASE64URL = '[A-Za-z0-9_-]';
const KEY_TEXT = new RegExp(
  `^(${PREFIX}(${BASE64URL}{${BYTES_CHARS}}))([0-9A-Za-z]{${CHECKSUM_CHARS}})?$`,
);

const MAC_LABEL = 'foreman api key mac 1';

/** What keys are signed with: the newest signs, and what any of these has signed is accepted. */
export interface KeySigning {
  /** From 1 to 127; has a secret. */
  readonly newest: number;
  readonly secrets: ReadonlyMap<number, string>;
}

/** `key` is shown once and stored nowhere; `secretHash` is what the foreman keeps. */
export function issueKey(input: {
  readonly userId: UserId;
  readonly keyId: KeyId;
  readonly signing: KeySigning;
}): { readonly key: string; readonly secretHash: string; readonly macVersion: number } {
  const macVersion = input.signing.newest;
  const secret = randomBytes(SECRET_BYTES);
  const body = Buffer.concat([
    Buffer.of(HAS_CHECKSUM | macVersion),
    Buffer.from(input.userId.slice(ID_PREFIX_CHARS), 'latin1'),
    Buffer.from(input.keyId.slice(ID_PREFIX_CHARS), 'latin1'),
    secret,
  ]);
  const mac = macOf(body, input.signing.secrets.get(macVersion));
  if (!mac || body.byteLength !== MAC_AT) throw new Error('a key needs a user id and a key id');
  const text = PREFIX + Buffer.concat([body, mac]).toString('base64url');
  return { key: text + checksumOf(text), secretHash: hashOf(secret), macVersion };
}

/** Null for every text that is not, character by character, a key that was issued here. */
export type ReadKey = (text: string, from: Whence) => KeyCredential | null;

export function createReadKey(signing: KeySigning): ReadKey {
  return (text, from) => {
    const proven = readKey(text, signing);
    return proven && { via: 'key', from, ...proven };
  };
}

type Proven = Pick<KeyCredential, 'userId' | 'keyId' | 'secretHash'>;

export function readKey(text: string, signing: KeySigning): Proven | null {
  const bytes = bytesIn(text);
  if (!bytes) return null;
  const version = (bytes[0] ?? 0) & ~HAS_CHECKSUM;
  const mac = macOf(bytes.subarray(0, MAC_AT), signing.secrets.get(version));
  if (!mac || !timingSafeEqual(mac, bytes.subarray(MAC_AT))) return null;
  const userId = `usr_${bytes.toString('latin1', USER_AT, KEY_AT)}`;
  const keyId = `key_${bytes.toString('latin1', KEY_AT, SECRET_AT)}`;
  if (!isId('usr', userId) || !isId('key', keyId)) return null;
  return { userId, keyId, secretHash: hashOf(bytes.subarray(SECRET_AT, MAC_AT)) };
}

/**
 * Null for what has not the shape of a key. The first byte is under the MAC and says whether there is
 * a checksum, so that neither adding nor cutting one off makes another spelling of a key.
 */
function bytesIn(text: string): Buffer | null {
  const [, body = '', encoded, checksum] = KEY_TEXT.exec(text) ?? [];
  if (encoded === undefined) return null;
  const bytes = Buffer.from(encoded, 'base64url');
  const first = bytes[0] ?? 0;
  if (checksum === undefined) return first === BARE_VERSION ? bytes : null;
  return first >= HAS_CHECKSUM && checksum === checksumOf(body) ? bytes : null;
}

/** CRC-32 of the characters before it: no secret is needed to make one, and none is protected by it. */
function checksumOf(text: string): string {
  let rest = crc32(text);
  let checksum = '';
  for (let index = 0; index < CHECKSUM_CHARS; index += 1) {
    checksum = BASE62[rest % BASE62.length] + checksum;
    rest = Math.floor(rest / BASE62.length);
  }
  return checksum;
}

/** Null when no secret of that version is known. */
function macOf(body: Uint8Array, signingSecret: string | undefined): Uint8Array | null {
  if (signingSecret === undefined) return null;
  const macKey = createHmac('sha256', signingSecret).update(MAC_LABEL).digest();
  return createHmac('sha256', macKey).update(body).digest().subarray(0, MAC_BYTES);
}

function hashOf(secret: Uint8Array): string {
  return createHash('sha256').update(secret).digest('hex');
}

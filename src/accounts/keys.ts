/**
 * The text of an API key: `fm_` + base64url(MAC version ‖ user id ‖ key id ‖ secret ‖ MAC). The MAC
 * proves without a look-up that Foreman issued the key and whose it is; the foreman says whether it
 * is still active. The bytes divide by three, so base64url has no spare bits and each key has one
 * spelling only.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { isId } from '../platform/ids';
import type { KeyCredential, KeyId, UserId, Whence } from './types';

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
const KEY_TEXT = new RegExp(`^${PREFIX}[A-Za-z0-9_-]{${((MAC_AT + MAC_BYTES) / 3) * 4}}$`);

/**
 * The versions that are accepted, each with the label its MAC key is derived by; the newest signs.
 * A version is added to rotate and retires when no active key has it (`KeyRecord.macVersion`).
 */
const macLabels = new Map([[1, 'foreman api key mac 1']]);
const NEWEST_MAC_VERSION = Math.max(...macLabels.keys());

/** `key` is shown once and stored nowhere; `secretHash` is what the foreman keeps. */
export function issueKey(input: {
  readonly userId: UserId;
  readonly keyId: KeyId;
  readonly signingSecret: string;
}): { readonly key: string; readonly secretHash: string; readonly macVersion: number } {
  const secret = randomBytes(SECRET_BYTES);
  const body = Buffer.concat([
    Buffer.of(NEWEST_MAC_VERSION),
    Buffer.from(input.userId.slice(ID_PREFIX_CHARS), 'latin1'),
    Buffer.from(input.keyId.slice(ID_PREFIX_CHARS), 'latin1'),
    secret,
  ]);
  const mac = macOf(body, input.signingSecret);
  if (!mac || body.byteLength !== MAC_AT) throw new Error('a key needs a user id and a key id');
  return {
    key: PREFIX + Buffer.concat([body, mac]).toString('base64url'),
    secretHash: hashOf(secret),
    macVersion: NEWEST_MAC_VERSION,
  };
}

/** Null for every text that is not, character by character, a key that was issued here. */
export type ReadKey = (text: string, from: Whence) => KeyCredential | null;

export function createReadKey(signingSecret: string): ReadKey {
  return (text, from) => {
    const proven = readKey(text, signingSecret);
    return proven && { via: 'key', from, ...proven };
  };
}

type Proven = Pick<KeyCredential, 'userId' | 'keyId' | 'secretHash'>;

export function readKey(text: string, signingSecret: string): Proven | null {
  if (!KEY_TEXT.test(text)) return null;
  const bytes = Buffer.from(text.slice(PREFIX.length), 'base64url');
  const mac = macOf(bytes.subarray(0, MAC_AT), signingSecret);
  if (!mac || !timingSafeEqual(mac, bytes.subarray(MAC_AT))) return null;
  const userId = `usr_${bytes.toString('latin1', USER_AT, KEY_AT)}`;
  const keyId = `key_${bytes.toString('latin1', KEY_AT, SECRET_AT)}`;
  if (!isId('usr', userId) || !isId('key', keyId)) return null;
  return { userId, keyId, secretHash: hashOf(bytes.subarray(SECRET_AT, MAC_AT)) };
}

/** Null when the version, which is the first byte, is none of ours. */
function macOf(body: Uint8Array, signingSecret: string): Uint8Array | null {
  const label = macLabels.get(body[0] ?? 0);
  if (label === undefined) return null;
  const macKey = createHmac('sha256', signingSecret).update(label).digest();
  return createHmac('sha256', macKey).update(body).digest().subarray(0, MAC_BYTES);
}

function hashOf(secret: Uint8Array): string {
  return createHash('sha256').update(secret).digest('hex');
}

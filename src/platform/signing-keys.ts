/**
 * Ed25519 key pairs for what others verify. They are derived from a secret of the operator's, one
 * per purpose, and stored nowhere: the same secret gives the same pairs in every isolate, and a new
 * secret is a rotation of them all. Knows who may verify, not what is signed.
 */
import { createHmac } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { z } from 'zod';

/** What stands before the 32 bytes of an Ed25519 private key in PKCS#8 (RFC 8410, 7). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const ALGORITHM = 'Ed25519';
/** Pairs that an isolate keeps: a derivation costs a fraction of a millisecond, a pair some 500 bytes. */
const MAX_KNOWN = 500;

const jwkSchema = z.object({ x: z.string() });

export interface SigningSecrets {
  readonly secret: string;
  /** The secret before it, while a rotation lasts. Its pairs are verified by, and sign nothing. */
  readonly previous: string | null;
}

/** A JWK (RFC 8037). `kid` is its thumbprint (RFC 7638), so it says which key it is by itself. */
export interface PublicKey {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  /** 32 bytes in base64url. */
  readonly x: string;
  readonly kid: string;
  readonly alg: 'EdDSA';
  readonly use: 'sig';
}

export interface KeyPair {
  readonly publicKey: PublicKey;
  readonly privateKey: CryptoKey;
}

export interface SigningKeys {
  /** The pair that signs. No two purposes may have the same text. */
  pairFor(purpose: string): Promise<KeyPair>;
  /** What its signatures are verified by, that of the pair that signs first. */
  publicKeysFor(purpose: string): Promise<readonly PublicKey[]>;
}

export function createSigningKeys({ secret, previous }: SigningSecrets): SigningKeys {
  const now = createPairs(secret);
  const before = previous === null ? null : createPairs(previous);
  return {
    pairFor: now,
    async publicKeysFor(purpose) {
      const pairs = await Promise.all([now, before].map((pairOf) => pairOf?.(purpose)));
      return pairs.flatMap((pair) => (pair ? [pair.publicKey] : []));
    },
  };
}

function createPairs(secret: string): SigningKeys['pairFor'] {
  const known = new Map<string, KeyPair>();
  return async (purpose) => {
    const pair = known.get(purpose) ?? (await derivePair(secret, purpose));
    // What was asked for last goes last.
    known.delete(purpose);
    known.set(purpose, pair);
    const [eldest] = known.keys();
    if (known.size > MAX_KNOWN && eldest !== undefined) known.delete(eldest);
    return pair;
  };
}

async function derivePair(secret: string, purpose: string): Promise<KeyPair> {
  const seed = createHmac('sha256', secret).update(purpose).digest();
  const privateKey = await crypto.subtle.importKey(
    'pkcs8',
    Buffer.concat([PKCS8_HEAD, seed]),
    ALGORITHM,
    true,
    ['sign'],
  );
  const { x } = jwkSchema.parse(await crypto.subtle.exportKey('jwk', privateKey));
  const point = { kty: 'OKP', crv: ALGORITHM, x } as const;
  const kid = await calculateJwkThumbprint(point);
  return { privateKey, publicKey: { ...point, kid, alg: 'EdDSA', use: 'sig' } };
}

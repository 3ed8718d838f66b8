/**
 * Addresses of an image. The stable one wants the API key; the signed one is a bearer credential for
 * one image until one second. Nothing is stored for it: deleting the image is what revokes it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { imageNotFound, linkExpired } from './errors';
import type { ImageId } from './types';

/** Ahead of every signed text, so that no other use of the secret can yield a link. */
const DOMAIN = 'foreman.image.v1';
/** No sign, no leading zero: one spelling per second, far beyond any retention. */
const EXPIRES = /^[1-9]\d{0,11}$/;

interface LinkInput {
  readonly imageId: ImageId;
  /** Epoch ms. The link ends with the second it falls into, never after it. */
  readonly expiresAt: number;
  readonly secret: string;
}

export function imageUrl(origin: string, id: ImageId): string {
  return `${origin}/v1/images/${id}/content`;
}

/** Of an image that was made here. */
export function manifestUrl(origin: string, id: ImageId): string {
  return `${origin}/v1/images/${id}/manifest`;
}

/** The same input gives the same link: answers stay comparable and caches stay warm. */
export function signedUrl(input: LinkInput & { readonly origin: string }): string {
  const { expires, signature } = signedQuery(input);
  return `${imageUrl(input.origin, input.imageId)}?expires=${expires}&signature=${signature}`;
}

/** `expires` in epoch seconds, `signature` an HMAC-SHA-256 in base64url. */
export function signedQuery(input: LinkInput): {
  readonly expires: string;
  readonly signature: string;
} {
  const expires = String(Math.floor(input.expiresAt / 1000));
  return { expires, signature: signatureOf(input.imageId, expires, input.secret) };
}

/** `expired` is said of genuine links only. */
export function verifyLink(input: {
  readonly imageId: string;
  readonly expires: string;
  readonly signature: string;
  readonly secret: string;
  /** Epoch ms. */
  readonly now: number;
}): 'valid' | 'expired' | 'invalid' {
  if (!EXPIRES.test(input.expires)) return 'invalid';
  // As text, because base64url has several spellings for the same bytes.
  const expected = Buffer.from(signatureOf(input.imageId, input.expires, input.secret));
  const given = Buffer.from(input.signature);
  if (given.byteLength !== expected.byteLength || !timingSafeEqual(given, expected)) {
    return 'invalid';
  }
  return input.now < Number(input.expires) * 1000 ? 'valid' : 'expired';
}

/**
 * When the link ends, in epoch ms; null when the request is no link and needs a key.
 * @throws AppError `not_found`, `gone`.
 */
export function openLink(input: {
  readonly id: string;
  readonly expires?: string | undefined;
  readonly signature?: string | undefined;
  readonly secret: string;
  readonly now: number;
}): number | null {
  const { id: imageId, expires, signature, secret, now } = input;
  if (expires === undefined && signature === undefined) return null;
  if (expires === undefined || signature === undefined) throw imageNotFound();
  const verdict = verifyLink({ imageId, expires, signature, secret, now });
  if (verdict === 'invalid') throw imageNotFound();
  if (verdict === 'expired') throw linkExpired();
  return Number(expires) * 1000;
}

function signatureOf(imageId: string, expires: string, secret: string): string {
  return createHmac('sha256', secret)
    .update(`${DOMAIN}\n${imageId}\n${expires}`)
    .digest('base64url');
}

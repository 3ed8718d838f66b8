/** Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) and the fingerprint of a body. */
import { canonicalJson, type Json } from '../platform/json';
import { invalidIdempotencyKey } from './errors';

const KEY = /^[\x20-\x7e]{1,255}$/;

/** A quoted key (a structured-field string) and a bare one are the same key. */
export function readIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(header);
  const key = quoted?.[1] === undefined ? header : quoted[1].replace(/\\(["\\])/g, '$1');
  if (!KEY.test(key)) throw invalidIdempotencyKey();
  return key;
}

/** Hex SHA-256 of the canonical JSON: the order of fields and white space make no difference. */
export async function fingerprintOf(body: Json): Promise<string> {
  const bytes = new TextEncoder().encode(canonicalJson(body));
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return Buffer.from(digest).toString('hex');
}

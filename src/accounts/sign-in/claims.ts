/**
 * What is read from tokens of other issuers: where one may stand in a request, and what its claims
 * grant once its signature has been checked. Pure.
 */
import { bearerToken } from '../authenticate';
import { DEFAULT_SCOPES, type Scope } from '../types';

/** `via` says whose token it has to be. */
export interface Candidate {
  readonly via: 'bearer' | 'access';
  readonly token: string;
}

/** Of a JWT: a header line of 8,192 characters also has to hold its scheme. */
const MAX_TOKEN_CHARS = 8_000;
/** Three parts, of which the first is a JSON object; a key, with `fm_`, has none. */
const JWT = /^e[\w-]+\.[\w-]+\.[\w-]+$/;

/** Of `Sec-Fetch-Site` (w3c/webappsec-fetch-metadata); clients that are no browsers do not send it. */
const OWN_SITES: readonly string[] = ['same-origin', 'none'];

/** The one token of the request that may be worth a look at its signature. */
export function candidateOf(headers: Headers): Candidate | null {
  if (headers.has('authorization')) return candidate('bearer', bearerToken(headers));
  // The edge adds this header because of a cookie, which a browser also sends along with what
  // another page makes it ask: of another site, or of a neighbouring host that is somebody else's.
  if (!OWN_SITES.includes(headers.get('sec-fetch-site') ?? 'none')) return null;
  return candidate('access', headers.get('cf-access-jwt-assertion'));
}

function candidate(via: Candidate['via'], token: string | null): Candidate | null {
  const fits = token !== null && token.length <= MAX_TOKEN_CHARS && JWT.test(token);
  return fits ? { via, token } : null;
}

export type Claims = Readonly<Record<string, unknown>>;

export interface SignedIn {
  readonly subject: string;
  /** For a user who has none yet. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Refused from then on, the tolerance included. */
  readonly expiresAt: number;
}

/** Clocks of issuers and of the edge differ. */
export const TOLERANCE_SECONDS = 30;
/** OpenID Connect's own bound. */
const MAX_SUBJECT_CHARS = 255;
const MAX_NAME_CHARS = 100;

/** Null for claims that stand for nobody. Issuer, audience and `nbf` have been checked. */
export function signedInBy(claims: Claims, now: number): SignedIn | null {
  const { sub: subject, exp, iat } = claims;
  if (typeof subject !== 'string' || !isSubject(subject)) return null;
  if (typeof exp !== 'number') return null;
  if (typeof iat === 'number' && iat * 1000 > now + TOLERANCE_SECONDS * 1000) return null;
  const expiresAt = Math.min((exp + TOLERANCE_SECONDS) * 1000, Number.MAX_SAFE_INTEGER);
  return { subject, name: nameIn(claims, subject), scopes: scopesIn(claims), expiresAt };
}

const isSubject = (text: string) =>
  text.length <= MAX_SUBJECT_CHARS && /\S/.test(text) && /^[^\p{Cc}\p{Cs}]+$/u.test(text);

/** The scopes that a token may have: `admin` is for keys and the operator. */
const tokenScopes = ['requests:read', 'requests:write'] as const satisfies readonly Scope[];

/** Other names are scopes of somebody else's, `openid` say, and narrow nothing here. */
function scopesIn({ scope, scp }: Claims): readonly Scope[] {
  const named = [scope, scp].flat().flatMap((names) => String(names ?? '').split(' '));
  const granted = tokenScopes.filter((name) => named.includes(name));
  return granted.length > 0 ? granted : DEFAULT_SCOPES;
}

function nameIn({ name, email, preferred_username }: Claims, subject: string): string {
  const given = [name, email, preferred_username].map(asName).find((text) => text !== '');
  return given ?? asName(subject);
}

/** Fit for a user's name; empty when nothing is left of it. */
function asName(value: unknown): string {
  if (typeof value !== 'string') return '';
  const clean = value
    .toWellFormed()
    .replaceAll(/\p{Cc}+/gu, ' ')
    .trim();
  // A pair that is cut in two loses its first half as well.
  return clean
    .slice(0, MAX_NAME_CHARS)
    .replace(/[\uD800-\uDBFF]$/, '')
    .trim();
}

/**
 * From an Authorization header to who is asking. The MAC is checked without any look-up, so a
 * forged key wakes no Durable Object; whether a genuine key is still active only its foreman knows.
 */
import { timingSafeEqual } from 'node:crypto';
import { forbidden, notOperator, unauthorized } from './errors';
import { readKey } from './keys';
import type { Authorization, Credential, Scope } from './types';

export interface Authenticate {
  /** MAC only: the foreman checks key and scope in the same transaction as the work. */
  credential(headers: Headers): Credential;
  /** MAC, then the foreman's word on the key, trusted for 30 s within the isolate. */
  principal(headers: Headers, scope: Scope): Promise<Credential>;
  /** The operator's token. */
  admin(headers: Headers): void;
}

/** A revoked key may read for this long in an isolate that saw it just before. */
const VERDICT_LIFE_MS = 30_000;
const MAX_VERDICTS = 1_000;

export function createAuthenticate(deps: {
  readonly keySigningSecret: string;
  readonly adminToken: string;
  readonly authorize: (credential: Credential) => Promise<Authorization>;
  readonly now: () => number;
}): Authenticate {
  const verdicts = new Map<string, { readonly scopes: readonly Scope[]; readonly until: number }>();

  const credential = (headers: Headers): Credential => {
    const token = bearerToken(headers);
    const found = token === null ? null : readKey(token, deps.keySigningSecret);
    if (!found) throw unauthorized();
    return found;
  };

  const scopesOf = async (found: Credential): Promise<readonly Scope[]> => {
    const name = `${found.keyId}:${found.secretHash}`;
    const known = verdicts.get(name);
    if (known && known.until > deps.now()) return known.scopes;
    const verdict = await deps.authorize(found);
    if (!verdict.ok) {
      verdicts.delete(name);
      throw unauthorized();
    }
    if (verdicts.size >= MAX_VERDICTS) verdicts.clear();
    verdicts.set(name, { scopes: verdict.scopes, until: deps.now() + VERDICT_LIFE_MS });
    return verdict.scopes;
  };

  return {
    credential,
    async principal(headers, scope) {
      const found = credential(headers);
      if (!(await scopesOf(found)).includes(scope)) throw forbidden(scope);
      return found;
    },
    admin(headers) {
      const token = bearerToken(headers);
      if (token === null || !isAdminToken(token, deps.adminToken)) throw notOperator();
    },
  };
}

function bearerToken(headers: Headers): string | null {
  return /^Bearer +(.+)$/i.exec(headers.get('authorization') ?? '')?.[1] ?? null;
}

/** The token may be any text; a header carries it as UTF-8, which some servers read as Latin-1. */
function isAdminToken(token: string, expected: string): boolean {
  const decoded = Buffer.from(token, 'latin1').toString('utf8');
  return sameText(token, expected) || sameText(decoded, expected);
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}

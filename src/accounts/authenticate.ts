/**
 * From a request's headers, or the ticket in its query, to who is asking. A key's MAC and a token's
 * signature are checked without any look-up, so a forged one wakes no Durable Object; whether a
 * genuine key is still active only its foreman knows.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Asking } from '../platform/http';
import { accountSuspended, forbidden, invalidTicket, notOperator, unauthorized } from './errors';
import type { OpenGrant } from './grants/opening';
import type { ReadKey } from './keys/text';
import type { OpenTicket } from './tickets/opening';
import type { Authorization, By, Credential, Scope, TokenCredential, Whence } from './types';

export interface Authenticate {
  /** What can be proven here: the foreman checks key and scope in the same transaction as the work. */
  credential(asking: Asking): Promise<Credential>;
  /** The same, then the foreman's word on it; for reading it is trusted for 30 s within the isolate. */
  principal(asking: Asking, scope: Scope): Promise<Credential>;
  /** The operator's token, or a key with the scope `admin`, of which the foreman is always asked. */
  admin(asking: Asking): Promise<By>;
}

/** A revoked key may read for this long in an isolate that saw it just before. */
const VERDICT_LIFE_MS = 30_000;
const MAX_VERDICTS = 1_000;

export interface AuthenticateDeps {
  readonly readKey: ReadKey;
  readonly adminToken: string;
  /** Who a token of another issuer stands for; null when the request brings none. */
  readonly signIn: (asking: Asking) => Promise<TokenCredential | null>;
  /** What a ticket in the query stands for; null when it is none. */
  readonly openTicket?: OpenTicket;
  /** What an app's access token stands for, where such a token is taken; null when it is none. */
  readonly openGrant?: OpenGrant;
  readonly authorize: (credential: Credential) => Promise<Authorization>;
  /** @throws AppError `rate_limited` when this address has failed too often. */
  readonly countFailure: (from: Whence) => Promise<void>;
  readonly now: () => number;
}

export function createAuthenticate(deps: AuthenticateDeps): Authenticate {
  const found = new WeakMap<Asking, Promise<Credential>>();
  const verdicts = createVerdicts(deps);

  const fromKey = ({ headers, from }: Asking) => {
    const token = bearerToken(headers);
    return token === null ? null : deps.readKey(token, from);
  };

  const fromApp = async ({ headers, from, audience }: Asking) => {
    const token = bearerToken(headers);
    return token === null || audience === undefined
      ? null
      : deps.openGrant?.({ token, audience, from });
  };

  const find = async (asking: Asking): Promise<Credential> => {
    const credential = isByTicket(asking)
      ? deps.openTicket?.(asking.ticket, asking.from)
      : (fromKey(asking) ?? (await deps.signIn(asking)) ?? (await fromApp(asking)));
    if (credential) return credential;
    await deps.countFailure(asking.from);
    throw isByTicket(asking) ? invalidTicket() : unauthorized();
  };

  const credential = (asking: Asking): Promise<Credential> => {
    const known = found.get(asking) ?? find(asking);
    found.set(asking, known);
    return known;
  };

  return {
    credential,

    async principal(asking, scope) {
      const asker = await credential(asking);
      const known = scope === 'requests:read' ? verdicts.recall(asker) : null;
      if (!(known ?? (await verdicts.ask(asker))).includes(scope)) throw forbidden(scope);
      return asker;
    },

    async admin(asking) {
      const { from } = asking;
      const token = bearerToken(asking.headers);
      if (token !== null && isAdminToken(token, deps.adminToken)) {
        return { actor: { type: 'operator', id: null }, from };
      }
      const key = token === null ? null : deps.readKey(token, from);
      const verdict = key && (await deps.authorize(key));
      if (verdict?.ok === false && verdict.code === 'account_suspended') throw accountSuspended();
      if (!key || !verdict?.ok) {
        await deps.countFailure(from);
        throw notOperator();
      }
      if (!verdict.scopes.includes('admin')) throw forbidden('admin');
      return { actor: { type: 'key', id: key.keyId }, from };
    },
  };
}

function createVerdicts(deps: Pick<AuthenticateDeps, 'authorize' | 'now'>) {
  const verdicts = new Map<string, { readonly scopes: readonly Scope[]; readonly until: number }>();
  return {
    recall(credential: Credential): readonly Scope[] | null {
      const known = verdicts.get(nameOf(credential));
      return known && known.until > deps.now() ? known.scopes : null;
    },

    async ask(credential: Credential): Promise<readonly Scope[]> {
      const name = nameOf(credential);
      const verdict = await deps.authorize(credential);
      if (!verdict.ok) {
        verdicts.delete(name);
        if (verdict.code === 'account_suspended') throw accountSuspended();
        throw credential.via === 'ticket' ? invalidTicket() : unauthorized();
      }
      const { scopes, until: endsAt } = verdict;
      if (verdicts.size >= MAX_VERDICTS) verdicts.clear();
      const until = Math.min(deps.now() + VERDICT_LIFE_MS, endsAt ?? Number.POSITIVE_INFINITY);
      verdicts.set(name, { scopes, until });
      return scopes;
    },
  };
}

/** Equal for credentials of which the foreman says the same. */
function nameOf(credential: Credential): string {
  switch (credential.via) {
    case 'key':
      return `${credential.keyId}:${credential.secretHash}`;
    case 'token':
      return JSON.stringify([credential.userId, credential.scopes, credential.expiresAt]);
    case 'ticket':
      return JSON.stringify(['ticket', credential.userId, credential.mintedBy]);
    case 'grant': {
      const { grantId, scopes, expiresAt } = credential;
      return JSON.stringify(['grant', credential.userId, grantId, scopes, expiresAt]);
    }
  }
}

/**
 * A header that names who asks goes before. One that Cloudflare Access has put there does not: it
 * comes with every call of a browser, whoever the page has a ticket of.
 */
const isByTicket = (asking: Asking): asking is Required<Asking> =>
  asking.ticket !== undefined && !asking.headers.has('authorization');

export function bearerToken(headers: Headers): string | null {
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

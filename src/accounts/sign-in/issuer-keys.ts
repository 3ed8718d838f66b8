/**
 * The public keys of one issuer, as this isolate knows them. Requests of one isolate share what was
 * read and never a promise: in workerd it would end with the request that made it. jose's own remote
 * set has each request read for itself, and stops to work when keys cannot be renewed.
 */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Logger } from '../../platform/log';
import { signInUnavailable } from '../errors';
import { isTrustworthyUrl, type TrustedIssuer } from './settings';

/** Within this time a key that the issuer has withdrawn is refused. */
const MAX_AGE_MS = 600_000;
/** Between two looks because of a token with an unknown key, or of an issuer that does not answer. */
const COOLDOWN_MS = 30_000;
/** The same while there are no keys at all, and nobody can sign in. */
const RETRY_MS = 5_000;
const TIMEOUT_MS = 5_000;
/** How often a request looks whether another one has got the keys. */
const LOOK_AGAIN_MS = 20;

export interface IssuerKeysDeps {
  readonly fetch: typeof fetch;
  readonly sleep: (ms: number) => Promise<void>;
  /** Lets the work go on when the client has left: other requests wait for what comes of it. */
  readonly keepAlive: (work: Promise<unknown>) => void;
  readonly allowLocal: boolean;
  readonly now: () => number;
  readonly log: Logger;
}

interface Known {
  readonly keyFor: JWTVerifyGetKey;
  readonly readAt: number;
}

/**
 * Finds the key that a token names. Keys that were read once serve on while the issuer is away.
 * @throws AppError `unavailable` when there are none and none can be had; JOSEError for a token that
 * names no key of the issuer's.
 */
export function createIssuerKeys(trusted: TrustedIssuer, deps: IssuerKeysDeps): JWTVerifyGetKey {
  const { now } = deps;
  let known: Known | null = null;
  let lastTry: { readonly at: number; isOver: boolean } | null = null;
  let lastFault: unknown = null;

  const isTrying = () => lastTry !== null && !lastTry.isOver && now() < lastTry.at + TIMEOUT_MS;
  const mayTry = () => lastTry === null || now() >= lastTry.at + (known ? COOLDOWN_MS : RETRY_MS);

  const read = async (): Promise<void> => {
    const mine = { at: now(), isOver: false };
    lastTry = mine;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      // Asked for with the keys each time: an issuer may move them.
      const keysUrl = trusted.keysUrl ?? (await discover(trusted.issuer, deps, signal));
      // Anything that is no key set is refused by jose.
      const set = (await readJson(keysUrl, deps, signal)) as JSONWebKeySet;
      known = { keyFor: createLocalJWKSet(set), readAt: now() };
    } catch (error) {
      lastFault = error;
      deps.log.warn('sign_in.keys_unavailable', { error });
    } finally {
      mine.isOver = true;
    }
  };

  const refresh = async (): Promise<void> => {
    const other = lastTry;
    if (other && isTrying()) {
      while (isTrying()) await deps.sleep(LOOK_AGAIN_MS);
      if (other.isOver) return;
    }
    if (!mayTry()) return;
    const reading = read();
    deps.keepAlive(reading);
    await reading;
  };

  const keysNow = (): Known => {
    if (!known) throw signInUnavailable(lastFault);
    return known;
  };

  return async (header, token) => {
    const isStale = known !== null && now() >= known.readAt + MAX_AGE_MS;
    if (!known || (isStale && !isTrying())) await refresh();
    const before = keysNow();
    try {
      return await before.keyFor(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await refresh();
      if (keysNow() === before) throw error;
      return keysNow().keyFor(header, token);
    }
  };
}

type Reading = Pick<IssuerKeysDeps, 'fetch' | 'allowLocal'>;

/** Where OpenID Connect Discovery says that the keys are. */
async function discover(issuer: string, deps: Reading, signal: AbortSignal): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const found = await readJson(url, deps, signal);
  const { issuer: named, jwks_uri: keysUrl } = Object(found) as Record<string, unknown>;
  if (named !== issuer) throw new Error('the discovery document is of another issuer');
  if (typeof keysUrl !== 'string' || !isTrustworthyUrl(keysUrl, deps.allowLocal)) {
    throw new Error('the discovery document names no https address of keys');
  }
  return keysUrl;
}

async function readJson(url: string, deps: Reading, signal: AbortSignal): Promise<unknown> {
  const headers = { accept: 'application/json' };
  const response = await deps.fetch(url, { headers, redirect: 'manual', signal });
  if (response.status !== 200) throw new Error(`the issuer answers ${response.status}`);
  return response.json();
}

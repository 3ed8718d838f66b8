/**
 * Signing in with a token of another issuer: its signature and claims are checked here, against keys
 * of the issuer's, and its subject stands for the user with the external id `<issuer>|<subject>`.
 * Whether that user's account is open the foreman says, as for keys.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { Asking } from '../../platform/http';
import { noAccount } from '../errors';
import { type By, externalIdOf, type TokenCredential, type UserId } from '../types';
import { candidateOf, type SignedIn, signedInBy, TOLERANCE_SECONDS } from './claims';
import { createIssuerKeys, type IssuerKeysDeps } from './issuer-keys';
import type { SignInSettings, TrustedIssuer } from './settings';

/** By key pairs only: with a shared secret whoever can check a token can make one. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

/** A subject whose user was deleted gets a new one after this time. */
const KNOWN_LIFE_MS = 300_000;
const MAX_KNOWN = 1_000;

export interface SignInDeps extends Omit<IssuerKeysDeps, 'allowLocal'> {
  readonly settings: SignInSettings;
  readonly findUser: (externalId: string) => Promise<UserId | null>;
  /** The user with this external id, made if there is none. Safe to call again, and at once. */
  readonly ensureUser: (input: {
    readonly externalId: string;
    readonly name: string;
    readonly by: By;
  }) => Promise<UserId>;
}

/**
 * Null when the request brings no token that stands for somebody, whatever is wrong with it.
 * @throws AppError `forbidden` when no user belongs to the subject; `unavailable` when the issuer's
 * keys, or the names of users, cannot be had.
 */
export type SignIn = (asking: Asking) => Promise<TokenCredential | null>;

export function createSignIn(deps: SignInDeps): SignIn {
  const { bearer, access } = deps.settings;
  const check = { bearer: checkOf(bearer, deps), access: checkOf(access, deps) };
  const userOf = createUserOf(deps);

  return async ({ headers, from }) => {
    const candidate = candidateOf(headers);
    const signedIn = candidate && (await check[candidate.via](candidate.token, from.correlationId));
    if (!signedIn) return null;
    const { issuer, subject, scopes, expiresAt, name } = signedIn;
    const externalId = externalIdOf(signedIn);
    const by: By = { actor: { type: 'token', id: externalId }, from };
    const userId = await userOf({ externalId, name, by });
    return { via: 'token', userId, from, issuer, subject, scopes, expiresAt };
  };
}

type Checked = SignedIn & Pick<TrustedIssuer, 'issuer'>;
type Check = (token: string, correlationId: string) => Promise<Checked | null>;

function checkOf(trusted: TrustedIssuer | null, deps: SignInDeps): Check {
  if (!trusted) return async () => null;
  const { issuer } = trusted;
  const keyFor = createIssuerKeys(trusted, { ...deps, allowLocal: deps.settings.allowLocal });
  const verify = async (token: string): Promise<JWTPayload> => {
    const { payload } = await jwtVerify(token, keyFor, {
      algorithms: ALGORITHMS,
      issuer,
      audience: [...trusted.audiences],
      requiredClaims: ['exp', 'sub'],
      clockTolerance: TOLERANCE_SECONDS,
      currentDate: new Date(deps.now()),
    });
    return payload;
  };

  return async (token, correlationId) => {
    const refused = (reason: string) => {
      deps.log.info('sign_in.refused', { correlation_id: correlationId, reason });
      return null;
    };
    try {
      const signedIn = signedInBy(await verify(token), deps.now());
      return signedIn ? { ...signedIn, issuer } : refused('claims');
    } catch (error) {
      if (error instanceof errors.JOSEError) return refused(reasonOf(error));
      throw error;
    }
  };
}

/** For the operator: what the caller is told is the same whatever is wrong. */
function reasonOf(error: errors.JOSEError): string {
  const { code } = error;
  const isClaim =
    error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired;
  return isClaim ? `${code} ${error.claim}` : code;
}

/** Whose a name is never changes while the user lives. */
function createUserOf({ settings, findUser, ensureUser, now }: SignInDeps) {
  const known = new Map<string, { readonly userId: UserId; readonly until: number }>();
  return async (input: Parameters<SignInDeps['ensureUser']>[0]): Promise<UserId> => {
    const { externalId } = input;
    const seen = known.get(externalId);
    if (seen && seen.until > now()) return seen.userId;
    // A name may be taken before its account is made: only `ensureUser` sees that through.
    const userId = await (settings.createUsers ? ensureUser(input) : findUser(externalId));
    if (!userId) {
      known.delete(externalId);
      throw noAccount();
    }
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(externalId, { userId, until: now() + KNOWN_LIFE_MS });
    return userId;
  };
}

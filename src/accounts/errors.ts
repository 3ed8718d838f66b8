import { AppError } from '../platform/errors';
import {
  type Credential,
  type Denial,
  type KeyId,
  REQUESTS_POLICY,
  type Refusal,
  type UserId,
} from './types';

export type AccountErrorCode =
  | 'unauthorized'
  | 'forbidden'
  | 'account_suspended'
  | 'not_found'
  | 'conflict'
  | 'invalid_request'
  | 'unavailable';

/** One text for every way in which a key or a token can be wrong, so that a guess learns nothing. */
export const unauthorized = () =>
  new AppError<AccountErrorCode>('unauthorized', 'A valid API key or sign-in token is required.', {
    headers: { 'www-authenticate': 'Bearer' },
  });

export const invalidTicket = () =>
  new AppError<AccountErrorCode>('unauthorized', 'The ticket is not valid or has ended.', {
    headers: { 'www-authenticate': 'Bearer' },
  });

/** For `/v1/admin`. */
export const notOperator = () =>
  new AppError<AccountErrorCode>(
    'unauthorized',
    'The operator’s token is required, or a key with the scope admin.',
    { headers: { 'www-authenticate': 'Bearer' } },
  );

export const forbidden = (scope: string) =>
  new AppError<AccountErrorCode>('forbidden', `This key or token lacks the scope ${scope}.`, {
    scope,
  });

export const accountSuspended = () =>
  new AppError<AccountErrorCode>(
    'account_suspended',
    'This account is suspended; whoever runs this service can lift that.',
  );

const denials = ['unauthorized', 'forbidden', 'account_suspended'] as const satisfies Denial[];

/** It is of who asks, whatever was asked. */
export const isDenial = (fault: unknown): fault is AppError =>
  fault instanceof AppError && denials.some((denial) => denial === fault.code);

export function deniedFault(
  denial: Denial,
  scope: string,
  credential?: Pick<Credential, 'via'>,
): AppError {
  switch (denial) {
    case 'unauthorized':
      return credential?.via === 'ticket' ? invalidTicket() : unauthorized();
    case 'forbidden':
      return forbidden(scope);
    case 'account_suspended':
      return accountSuspended();
  }
}

/**
 * Names the limit, its number, its use and when it frees. `violated-policies` is for the policies of
 * `RateLimit-Policy`, of which there is one.
 */
export function refusalFault(refusal: Refusal, now: number): AppError {
  const { code, limit, allowed, used, retryAfterMs } = refusal;
  const freesAt = retryAfterMs === null ? null : new Date(now + retryAfterMs).toISOString();
  const members = { limit, allowed, used, frees_at: freesAt };
  return new AppError(code, refusal.message, {
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
    extensions:
      code === 'rate_limited' ? { ...members, 'violated-policies': [REQUESTS_POLICY] } : members,
  });
}

export const accountNotFound = (what: string) =>
  new AppError<AccountErrorCode>('not_found', `There is no such ${what}.`);

export const keyCannotRotate = (
  why: { readonly outcome: 'revoked' | 'expired' } | { readonly outcome: 'replaced'; by: KeyId },
) =>
  new AppError<AccountErrorCode>(
    'conflict',
    why.outcome === 'replaced'
      ? `This key has been rotated already: ${why.by} replaces it.`
      : `This key has ${why.outcome === 'revoked' ? 'been revoked' : 'expired'}; issue a new one.`,
    why.outcome === 'replaced' ? { extensions: { replaced_by: why.by } } : {},
  );

export const invalidExpiry = (message: string) =>
  new AppError<AccountErrorCode>('invalid_request', 'Not valid: expires_at.', {
    errors: [{ path: 'expires_at', message }],
  });

export const keyListUnavailable = (cause: unknown) =>
  new AppError<AccountErrorCode>('unavailable', 'The list of keys cannot be read right now.', {
    retryAfterMs: 5_000,
    cause,
  });

/** Names the user who has it, so that a caller whose answer got lost finds what it made. */
export const externalIdTaken = (externalId: string, userId: UserId) =>
  new AppError<AccountErrorCode>(
    'conflict',
    `The external id ${JSON.stringify(externalId)} is taken by the user ${userId}.`,
    { extensions: { user_id: userId } },
  );

/** A creation that broke off has fixed the user's id, and the id where the user is held. */
export const begunElsewhere = (externalId: string, userId: UserId) =>
  new AppError<AccountErrorCode>(
    'conflict',
    `The creation of a user with the external id ${JSON.stringify(externalId)} was begun with ` +
      'another jurisdiction. Repeat it with that one, or take another external id.',
    { extensions: { user_id: userId } },
  );

/** `places` in `limits.allowed_models`. */
export const unknownModels = (places: readonly number[]) => {
  const paths = places.map((place) => `limits.allowed_models.${place}`);
  return new AppError<AccountErrorCode>(
    'invalid_request',
    `Not valid: ${paths.slice(0, 5).join(', ')}.`,
    { errors: paths.map((path) => ({ path, message: 'names no model that there is' })) },
  );
};

export const userGoing = () =>
  new AppError<AccountErrorCode>('conflict', 'This user is being deleted.');

export const namesUnavailable = (cause: unknown) =>
  new AppError<AccountErrorCode>(
    'unavailable',
    'Whose an external id is cannot be asked right now. It is safe to try again.',
    { retryAfterMs: 2_000, cause },
  );

export const auditUnavailable = (cause: unknown) =>
  new AppError<AccountErrorCode>('unavailable', 'The audit trail cannot be read right now.', {
    retryAfterMs: 5_000,
    cause,
  });

export const usageUnavailable = (cause: unknown) =>
  new AppError<AccountErrorCode>('unavailable', 'Usage cannot be summed up right now.', {
    retryAfterMs: 5_000,
    cause,
  });

/** The token is good: it is the set-up that gives its bearer nothing here. */
export const noAccount = () =>
  new AppError<AccountErrorCode>(
    'forbidden',
    'No account belongs to this sign-in; whoever runs this service can make one.',
  );

export const signInUnavailable = (cause: unknown) =>
  new AppError<AccountErrorCode>('unavailable', 'Sign-in tokens cannot be checked right now.', {
    retryAfterMs: 5_000,
    cause,
  });

/** D1 does not answer; users and keys themselves are with their foremen. */
export const listUnavailable = (cause: unknown) =>
  new AppError<AccountErrorCode>('unavailable', 'The list of users cannot be read right now.', {
    retryAfterMs: 5_000,
    cause,
  });

/** In the words for a request that is not there: a ticket tells nothing of those it is not for. */
export const ticketElsewhere = (id: string) =>
  new AppError<AccountErrorCode>('not_found', `There is no request ${id.slice(0, 64)}.`);

export const ticketTooNarrow = () =>
  new AppError<AccountErrorCode>(
    'forbidden',
    'This ticket is for one request. Make one without request_id to hear of all.',
  );

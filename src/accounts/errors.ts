import { AppError } from '../platform/errors';
import type { Denial } from './types';

export type AccountErrorCode =
  | 'unauthorized'
  | 'forbidden'
  | 'account_suspended'
  | 'not_found'
  | 'conflict'
  | 'unavailable';

/** One text for every way in which a key can be wrong, so that a guess learns nothing. */
export const unauthorized = () =>
  new AppError<AccountErrorCode>('unauthorized', 'A valid API key is required.', {
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
  new AppError<AccountErrorCode>('forbidden', `This key lacks the scope ${scope}.`);

export const accountSuspended = () =>
  new AppError<AccountErrorCode>(
    'account_suspended',
    'This account is suspended; whoever runs this service can lift that.',
  );

export function deniedFault(denial: Denial, scope: string): AppError {
  switch (denial) {
    case 'unauthorized':
      return unauthorized();
    case 'forbidden':
      return forbidden(scope);
    case 'account_suspended':
      return accountSuspended();
  }
}

export const accountNotFound = (what: string) =>
  new AppError<AccountErrorCode>('not_found', `There is no such ${what}.`);

/** D1 does not answer; users and keys themselves are with their foremen. */
export const listUnavailable = (cause: unknown) =>
  new AppError<AccountErrorCode>('unavailable', 'The list of users cannot be read right now.', {
    retryAfterMs: 5_000,
    cause,
  });

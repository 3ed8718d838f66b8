import { AppError } from '../platform/errors';

export type AccountErrorCode = 'unauthorized' | 'forbidden' | 'not_found' | 'unavailable';

/** One text for every way in which a key can be wrong, so that a guess learns nothing. */
export const unauthorized = () =>
  new AppError<AccountErrorCode>('unauthorized', 'A valid API key is required.', {
    headers: { 'www-authenticate': 'Bearer' },
  });

/** For `/v1/admin`, which no API key opens. */
export const notOperator = () =>
  new AppError<AccountErrorCode>('unauthorized', 'The operator’s token is required.', {
    headers: { 'www-authenticate': 'Bearer' },
  });

export const forbidden = (scope: string) =>
  new AppError<AccountErrorCode>('forbidden', `This key lacks the scope ${scope}.`);

export const accountNotFound = (what: string) =>
  new AppError<AccountErrorCode>('not_found', `There is no such ${what}.`);

/** D1 does not answer; users and keys themselves are with their foremen. */
export const listUnavailable = (cause: unknown) =>
  new AppError<AccountErrorCode>('unavailable', 'The list of users cannot be read right now.', {
    retryAfterMs: 5_000,
    cause,
  });

import { AppError } from '../platform/errors';

export type RequestFaultCode =
  | 'not_found'
  | 'gone'
  | 'conflict'
  | 'idempotency_mismatch'
  | 'rate_limited'
  | 'too_many_waiting'
  | 'quota_exceeded'
  | 'limit_exceeded'
  | 'model_not_allowed'
  | 'invalid_request'
  | 'invalid_header'
  | 'unavailable';

export const requestNotFound = (id: string) =>
  new AppError<RequestFaultCode>('not_found', `There is no request ${id.slice(0, 64)}.`);

export const replayOfDeleted = () =>
  new AppError<RequestFaultCode>('gone', 'The request of this idempotency key was deleted.');

export const notFinished = (id: string) =>
  new AppError<RequestFaultCode>(
    'conflict',
    `${id} has not finished; only an ended request can be retried.`,
  );

export const idempotencyMismatch = () =>
  new AppError<RequestFaultCode>(
    'idempotency_mismatch',
    'This Idempotency-Key was used with another body.',
  );

export const invalidIdempotencyKey = () =>
  new AppError<RequestFaultCode>(
    'invalid_header',
    'Idempotency-Key must be 1 to 255 printable ASCII characters, bare or in double quotes.',
  );

/** D1 or the foreman did not answer; what was accepted is not affected. */
export const unavailable = (what: string, cause: unknown) =>
  new AppError<RequestFaultCode>('unavailable', `${what} cannot be read right now.`, {
    retryAfterMs: 5_000,
    cause,
  });

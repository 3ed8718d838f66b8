import { AppError } from '../platform/errors';
import type { PingResult, RotationRefusal } from './endpoints/types';

export type WebhookErrorCode =
  | 'not_found'
  | 'conflict'
  | 'invalid_request'
  | 'limit_exceeded'
  | 'idempotency_mismatch'
  | 'endpoint_not_reachable';

export const endpointNotFound = (id: string) =>
  new AppError<WebhookErrorCode>('not_found', `There is no webhook endpoint ${id.slice(0, 64)}.`);

/** `reason` is a sentence that says what is wrong with the URL. */
export const invalidEndpointUrl = (reason: string) =>
  new AppError<WebhookErrorCode>('invalid_request', 'Not valid: url.', {
    errors: [{ path: 'url', message: reason }],
  });

export const deliveryNotFound = (id: string) =>
  new AppError<WebhookErrorCode>(
    'not_found',
    `There is no delivery ${id.slice(0, 64)} in this log.`,
  );

export const endpointIsDisabled = () =>
  new AppError<WebhookErrorCode>(
    'conflict',
    'The endpoint is disabled; enable it before anything is sent to it again.',
  );

export const tooManyEndpoints = (allowed: number) =>
  new AppError<WebhookErrorCode>(
    'limit_exceeded',
    `An account has at most ${allowed} webhook endpoints; delete one that is not needed any more.`,
    { extensions: { limit: 'webhook_endpoints', allowed, used: allowed, frees_at: null } },
  );

export const keyMismatch = () =>
  new AppError<WebhookErrorCode>(
    'idempotency_mismatch',
    'This Idempotency-Key was used with another body.',
  );

export function rotationFault(refusal: RotationRefusal): AppError {
  if (refusal === 'mismatch') return keyMismatch();
  return new AppError<WebhookErrorCode>(
    'conflict',
    'The rotation with this Idempotency-Key was followed by another, and its secret has ended.',
  );
}

export const endpointNotReachable = (probe: PingResult) =>
  new AppError<WebhookErrorCode>(
    'endpoint_not_reachable',
    'The endpoint did not answer a ping with a 2xx, so it stays disabled.',
    {
      extensions: {
        probe: {
          status: probe.status,
          duration_ms: probe.durationMs,
          response: probe.response,
          error: probe.error,
        },
      },
    },
  );

export const endpointMoved = () =>
  new AppError<WebhookErrorCode>(
    'conflict',
    'The URL was changed while the one before it was tried; enable the endpoint again.',
  );

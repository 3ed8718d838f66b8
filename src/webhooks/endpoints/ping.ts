/** A ping: an event that is sent once and at once, and logged as a delivery like any other. Pure. */
import type { DeliveryId } from '../../platform/ids';
import { plainEventBody } from '../event';
import { deliveryVerdict } from '../schedule';
import type { DeliveryAttempt, DeliveryJob, DeliveryResult, FinishedDelivery } from '../types';
import { signingSecrets } from './secrets';
import { type Endpoint, PING, type PingResult } from './types';
import { presentEndpoint } from './view';

export type PingJob = Omit<DeliveryJob, 'token' | 'attempt'>;

export function pingJob(
  endpoint: Endpoint,
  call: { readonly id: DeliveryId } & Pick<DeliveryJob, 'correlationId' | 'traceparent'>,
  now: number,
): PingJob {
  const data = presentEndpoint(endpoint, now);
  return {
    ...call,
    userId: endpoint.userId,
    requestId: null,
    endpointId: endpoint.id,
    url: endpoint.url,
    body: plainEventBody({ type: PING, at: now, data }),
    secrets: signingSecrets(endpoint.secrets, now),
  };
}

export function pingDelivery(
  { secrets: _, ...job }: PingJob,
  ended: { readonly result: DeliveryResult; readonly startedAt: number; readonly now: number },
): FinishedDelivery {
  const { result, startedAt, now } = ended;
  const attempt: DeliveryAttempt = { at: startedAt, ...pingResult(result) };
  const verdict = result.status === null ? 'retry' : deliveryVerdict({ status: result.status });
  return {
    ...job,
    type: PING,
    status: verdict === 'delivered' ? 'delivered' : 'failed',
    reason: null,
    attempts: [attempt],
    attemptsBefore: 0,
    createdAt: startedAt,
    finishedAt: now,
  };
}

export function pingResult(result: DeliveryResult): PingResult {
  const { status, durationMs } = result;
  return result.status === null
    ? { status: null, durationMs, response: null, error: result.error }
    : { status, durationMs, response: result.response, error: null };
}

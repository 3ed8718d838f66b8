/** One POST of one event, signed: the same for a delivery and for a ping. */
import type { FetchUntrusted, UntrustedResponse } from '../platform/fetch-untrusted';
import { retryAfterMs } from '../platform/retry-after';
import type { SigningKeys } from '../platform/signing-keys';
import { DELIVERY_TIMEOUT_MS } from './delivery';
import { signWebhook, webhookPurpose } from './signature';
import type { DeliveryJob, DeliveryResult } from './types';

/** What of the answer is kept in the delivery log. */
const RESPONSE_BYTES = 1_024;

export interface PostDeps {
  readonly fetchUntrusted: FetchUntrusted;
  readonly signingKeys: Pick<SigningKeys, 'pairFor'>;
  readonly now: () => number;
}

/** Whatever the receiver or the network does is a result: it never throws for either. */
export async function postWebhook(
  job: Pick<
    DeliveryJob,
    'id' | 'userId' | 'url' | 'body' | 'secrets' | 'correlationId' | 'traceparent'
  >,
  deps: PostDeps,
): Promise<DeliveryResult> {
  const timestampSeconds = Math.floor(deps.now() / 1000);
  const { id, body, secrets, url } = job;
  const pair = await deps.signingKeys.pairFor(webhookPurpose(job.userId));
  const answer = await deps.fetchUntrusted(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Foreman-Webhooks/1',
      'webhook-id': id,
      'webhook-timestamp': String(timestampSeconds),
      'webhook-signature': await signWebhook({ id, timestampSeconds, body, secrets, pair }),
      'x-correlation-id': job.correlationId,
      ...(job.traceparent === null ? {} : { traceparent: job.traceparent }),
    },
    body,
    timeoutMs: DELIVERY_TIMEOUT_MS,
    maxBytes: RESPONSE_BYTES,
    onOverflow: 'truncate',
  });
  return resultOf(answer, deps.now());
}

function resultOf(answer: UntrustedResponse, now: number): DeliveryResult {
  switch (answer.outcome) {
    case 'answered':
      return {
        status: answer.status,
        durationMs: answer.durationMs,
        response: new TextDecoder().decode(answer.body),
        retryAfterMs: retryAfterMs(answer.headers, now),
      };
    case 'refused':
      return { status: null, durationMs: 0, error: answer.reason };
    case 'failed':
      return { status: null, durationMs: answer.durationMs, error: answer.message };
  }
}

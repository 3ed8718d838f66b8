/**
 * The consumer of the webhooks queue: claims a delivery, posts it once, settles what happened. When
 * to try again is the foreman's business.
 */
import type { DeliveryId, UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { done, retryAfter, type Verdict } from '../platform/queue';
import { type PostDeps, postWebhook } from './posting';
import type { DeliverMessage, DeliveryClaim, DeliveryJob, DeliveryResult } from './types';

const CLAIM_RETRY_SECONDS = 5;
const SETTLE_DELAYS_MS = [100, 1_000, 5_000];

export interface WebhookConsumerDeps extends PostDeps {
  readonly foreman: (userId: UserId) => {
    claimDelivery(input: { delivery: DeliveryId; token: string }): Promise<DeliveryClaim>;
    settleDelivery(input: {
      delivery: DeliveryId;
      token: string;
      result: DeliveryResult;
    }): Promise<unknown>;
  };
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Logger;
}

/** The claim is awaited by the queue's handler; the POST that follows may outlive it. */
export async function claimWebhook(
  message: DeliverMessage,
  deps: WebhookConsumerDeps,
): Promise<{ verdict: Verdict; run: (() => Promise<void>) | null }> {
  const { user: user_id, delivery, correlation_id } = message;
  let claimed: DeliveryClaim;
  try {
    const token = crypto.randomUUID();
    claimed = await deps.foreman(message.user).claimDelivery({ delivery, token });
  } catch (error) {
    deps.log.warn('webhook.claim_failed', {
      user_id,
      delivery_id: delivery,
      correlation_id,
      error,
    });
    return { verdict: retryAfter(CLAIM_RETRY_SECONDS), run: null };
  }
  if (claimed.verdict !== 'deliver') return { verdict: done, run: null };
  const { job } = claimed;
  return { verdict: done, run: () => deliver(job, deps) };
}

async function deliver(job: DeliveryJob, deps: WebhookConsumerDeps): Promise<void> {
  const result = await postWebhook(job, deps);
  deps.log.info('webhook.attempted', {
    correlation_id: job.correlationId,
    user_id: job.userId,
    delivery_id: job.id,
    endpoint_id: job.endpointId ?? undefined,
    request_id: job.requestId ?? undefined,
    attempt: job.attempt,
    duration_ms: result.durationMs,
    ...(result.status === null ? { outcome: 'no_answer' } : { status: result.status }),
  });
  for (const delay of [...SETTLE_DELAYS_MS, null]) {
    try {
      const { id: delivery, token } = job;
      await deps.foreman(job.userId).settleDelivery({ delivery, token, result });
      return;
    } catch (error) {
      deps.log.warn('webhook.settle_failed', { delivery_id: job.id, error });
      if (delay !== null) await deps.sleep(delay);
    }
  }
}

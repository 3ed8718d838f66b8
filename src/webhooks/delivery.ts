/**
 * The life of a delivery: pure transitions that return the same object when they do not apply.
 */
import { confirmDueAt } from '../platform/backoff';
import type { DeliveryId } from '../platform/ids';
import { deliveryVerdict, nextAttempt } from './schedule';
import type { Delivery, DeliveryAttempt, DeliveryResult, PendingDelivery } from './types';

/** One POST may take 15 s; a lease that outlives it by as much is only lost with its process. */
export const DELIVERY_TIMEOUT_MS = 15_000;
const DELIVERY_LEASE_MS = 30_000;

export function createDelivery(
  input: Pick<
    PendingDelivery,
    | 'userId'
    | 'requestId'
    | 'endpointId'
    | 'type'
    | 'url'
    | 'body'
    | 'correlationId'
    | 'traceparent'
  > & { readonly id: DeliveryId },
  now: number,
): PendingDelivery {
  return {
    ...input,
    status: 'pending',
    createdAt: now,
    attempts: [],
    attemptsBefore: 0,
    nextAttemptAt: now,
    sends: 1,
    sentAt: now,
    lease: null,
  };
}

/** When the foreman must look at it again. A finished one waits for D1 to take it over. */
export function deliveryDueAt(delivery: Delivery): number {
  if (delivery.status !== 'pending') return delivery.finishedAt;
  if (delivery.lease) return delivery.lease.until;
  if (delivery.sends === 0) return delivery.nextAttemptAt;
  return confirmDueAt(delivery);
}

/** Its time has come, or a wake-up was not confirmed: one (more) wake-up is sent. */
export function sendDelivery(delivery: Delivery, now: number): Delivery {
  if (delivery.status !== 'pending' || delivery.nextAttemptAt > now) return delivery;
  if (delivery.lease) return delivery;
  return { ...delivery, sentAt: now, sends: delivery.sends + 1 };
}

/** Nobody settled it in time: the attempt counts, and the schedule goes on. */
export function loseDelivery(delivery: Delivery, random: () => number, now: number): Delivery {
  if (delivery.status !== 'pending' || !delivery.lease || delivery.lease.until > now) {
    return delivery;
  }
  const { token, at } = delivery.lease;
  const error = 'The process that made this call went away.';
  const result: DeliveryResult = { status: null, durationMs: now - at, error };
  return settleDelivery(delivery, { token, result, random }, now);
}

export function claimDelivery(delivery: Delivery, token: string, now: number): Delivery {
  if (delivery.status !== 'pending' || delivery.nextAttemptAt > now) return delivery;
  if (delivery.lease) return delivery;
  return { ...delivery, lease: { token, until: now + DELIVERY_LEASE_MS, at: now } };
}

export function settleDelivery(
  delivery: Delivery,
  facts: { readonly token: string; readonly result: DeliveryResult; readonly random: () => number },
  now: number,
): Delivery {
  if (delivery.status !== 'pending' || delivery.lease?.token !== facts.token) return delivery;
  const { result } = facts;
  const attempt: DeliveryAttempt = {
    at: delivery.lease.at,
    status: result.status,
    durationMs: result.durationMs,
    response: result.status === null ? null : result.response,
    error: result.status === null ? result.error : null,
  };
  const attempts = [...delivery.attempts, attempt];
  const verdict = result.status === null ? 'retry' : deliveryVerdict({ status: result.status });
  if (verdict === 'delivered') return finish(delivery, 'delivered', attempts, now);
  if (verdict === 'gone') return finish(delivery, 'failed', attempts, now);
  const nextAttemptAt = nextAttempt({
    attemptsMade: attempts.length - delivery.attemptsBefore,
    now,
    retryAfterMs: result.status === null ? null : result.retryAfterMs,
    random: facts.random,
  });
  if (nextAttemptAt === null) return finish(delivery, 'failed', attempts, now);
  return { ...delivery, attempts, nextAttemptAt, lease: null, sends: 0, sentAt: now };
}

function finish(
  delivery: PendingDelivery,
  status: 'delivered' | 'failed',
  attempts: readonly DeliveryAttempt[],
  now: number,
): Delivery {
  const { nextAttemptAt: _n, sends: _s, sentAt: _t, lease: _l, ...rest } = delivery;
  return { ...rest, status, attempts, finishedAt: now };
}

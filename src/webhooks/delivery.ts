/**
 * The life of a delivery: pure transitions that return the same object when they do not apply.
 */
import { confirmDueAt } from '../platform/backoff';
import type { DeliveryId } from '../platform/ids';
import { laneOf } from './lanes';
import { deliveryVerdict, nextAttempt } from './schedule';
import type {
  Delivery,
  DeliveryAttempt,
  DeliveryEnd,
  DeliveryResult,
  FinishedDelivery,
  PendingDelivery,
} from './types';

/** One POST may take 15 s; a lease that outlives it by as much is only lost with its process. */
export const DELIVERY_TIMEOUT_MS = 15_000;
const DELIVERY_LEASE_MS = 30_000;

/** It is released by its lane, so it has no time of its own. */
export const NEVER = Number.MAX_SAFE_INTEGER;

/** One event for one receiver. */
export type NewDelivery = Pick<
  PendingDelivery,
  'userId' | 'requestId' | 'endpointId' | 'type' | 'url' | 'body' | 'correlationId' | 'traceparent'
> & { readonly id: DeliveryId };

/** Due at once, and not sent yet. */
export function createDelivery(input: NewDelivery, now: number): PendingDelivery {
  return {
    ...input,
    status: 'pending',
    lane: laneOf(input),
    createdAt: now,
    attempts: [],
    attemptsBefore: 0,
    nextAttemptAt: now,
    waitsForLane: false,
    sends: 0,
    sentAt: now,
    lease: null,
  };
}

/** It is not sent, and kept in the log for whoever wants it sent later. */
export function skippedDelivery(
  input: NewDelivery,
  reason: Extract<DeliveryEnd, 'endpoint_disabled' | 'backlog'>,
  now: number,
): FinishedDelivery {
  const rest = { createdAt: now, attempts: [], attemptsBefore: 0, finishedAt: now };
  return { ...input, ...rest, status: 'skipped', reason };
}

/** A row with all that was ever tried would have no end. */
const ATTEMPTS_KEPT = 50;

/** Sent once more, with its id and body, and a schedule that begins anew. */
export function replayDelivery(delivery: FinishedDelivery, now: number): PendingDelivery {
  const { finishedAt: _, reason: __, ...rest } = delivery;
  const attempts = delivery.attempts.slice(-ATTEMPTS_KEPT);
  return {
    ...rest,
    status: 'pending',
    lane: laneOf(delivery),
    attempts,
    attemptsBefore: attempts.length,
    nextAttemptAt: now,
    waitsForLane: false,
    sends: 0,
    sentAt: now,
    lease: null,
  };
}

/** One that waits for its next try is tried now; one that is under way, or about to be, stays. */
export function hurryDelivery(delivery: PendingDelivery, now: number): PendingDelivery {
  return delivery.nextAttemptAt > now ? { ...delivery, nextAttemptAt: now } : delivery;
}

/** When the foreman must look at it again. A finished one waits for D1 to take it over. */
export function deliveryDueAt(delivery: Delivery): number {
  if (delivery.status !== 'pending') return delivery.finishedAt;
  if (delivery.lease) return delivery.lease.until;
  if (delivery.waitsForLane) return NEVER;
  if (delivery.sends === 0) return delivery.nextAttemptAt;
  return confirmDueAt(delivery);
}

/** Its time has come, or a wake-up was not confirmed: one (more) wake-up is sent. */
export function sendDelivery(delivery: Delivery, now: number): Delivery {
  if (delivery.status !== 'pending' || delivery.lease) return delivery;
  // Whose time has come waits for nothing but its lane, though the clock be set back.
  if (delivery.nextAttemptAt > now && !delivery.waitsForLane) return delivery;
  return { ...delivery, waitsForLane: false, sentAt: now, sends: delivery.sends + 1 };
}

/** Its time has come, and its lane has no room. */
export function holdDelivery(delivery: Delivery, now: number): Delivery {
  if (delivery.status !== 'pending' || delivery.nextAttemptAt > now) return delivery;
  if (delivery.lease || delivery.sends > 0 || delivery.waitsForLane) return delivery;
  return { ...delivery, waitsForLane: true };
}

/** One whose POST is under way comes to its own end: the answer may yet be that it was delivered. */
export function endDelivery(delivery: Delivery, reason: DeliveryEnd, now: number): Delivery {
  if (delivery.status !== 'pending' || delivery.lease) return delivery;
  return finish(delivery, { status: 'failed', reason, attempts: delivery.attempts }, now);
}

/** Nobody settled it in time: the attempt counts, and the schedule goes on. */
export function loseDelivery(delivery: Delivery, random: () => number, now: number): Delivery {
  if (delivery.status !== 'pending' || !delivery.lease || delivery.lease.until > now) {
    return delivery;
  }
  const { token, at } = delivery.lease;
  const error = 'The process that made this call went away.';
  const result: DeliveryResult = { status: null, durationMs: now - at, error };
  return settleDelivery(delivery, { token, result, random, hasMoved: false }, now);
}

export function claimDelivery(
  delivery: Delivery,
  { token, url }: { readonly token: string; readonly url: string },
  now: number,
): Delivery {
  if (delivery.status !== 'pending' || delivery.nextAttemptAt > now) return delivery;
  // Only what was sent has its place in the lane; a wake-up of an earlier try has come late.
  if (delivery.lease || delivery.sends === 0) return delivery;
  return { ...delivery, lease: { token, url, until: now + DELIVERY_LEASE_MS, at: now } };
}

export function settleDelivery(
  delivery: Delivery,
  facts: {
    readonly token: string;
    readonly result: DeliveryResult;
    readonly random: () => number;
    /** Its endpoint is elsewhere by now: that the former place is gone ends nothing. */
    readonly hasMoved: boolean;
  },
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
  if (verdict === 'delivered') {
    return finish(delivery, { status: 'delivered', reason: null, attempts }, now);
  }
  if (verdict === 'gone' && !facts.hasMoved) {
    return finish(delivery, { status: 'failed', reason: 'gone', attempts }, now);
  }
  const nextAttemptAt = nextAttempt({
    attemptsMade: attempts.length - delivery.attemptsBefore,
    now,
    retryAfterMs: result.status === null ? null : result.retryAfterMs,
    random: facts.random,
  });
  if (nextAttemptAt === null) {
    return finish(delivery, { status: 'failed', reason: 'schedule_over', attempts }, now);
  }
  return { ...delivery, attempts, nextAttemptAt, lease: null, sends: 0, sentAt: now };
}

function finish(
  delivery: PendingDelivery,
  end: Pick<FinishedDelivery, 'status' | 'reason' | 'attempts'>,
  now: number,
): FinishedDelivery {
  const { lane, nextAttemptAt, waitsForLane, sends, sentAt, lease, ...rest } = delivery;
  return { ...rest, ...end, finishedAt: now };
}

/** When a webhook is tried again, and what an answer to it means. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/**
 * Waits after the first, second, … try, which itself is made at once: ten tries in 75 h 35 min.
 * Source: Standard Webhooks 1.0.0, "Deliverability and reliability".
 */
export const RETRY_DELAYS_MS: readonly number[] = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];

/** Enough to part deliveries that failed together, and the schedule's length stays as published. */
const JITTER = 0.1;

/** One header must not park a delivery for longer than the schedule's own longest wait. */
const MAX_RETRY_AFTER_MS = 24 * HOUR;

/**
 * When to try next, epoch ms; null when the schedule is over. A scheduled wait is spread by ±10 %.
 * `Retry-After` is a floor, capped at 24 h, and spread upwards only, so that no try is early.
 */
export function nextAttempt(input: {
  /** Tries that have been made, lost ones included. */
  readonly attemptsMade: number;
  /** Epoch ms. */
  readonly now: number;
  readonly retryAfterMs: number | null;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}): number | null {
  if (input.attemptsMade < 1) return input.now;
  const delay = RETRY_DELAYS_MS[input.attemptsMade - 1];
  if (delay === undefined) return null;
  const random = input.random();
  const scheduled = delay * (1 + JITTER * (2 * random - 1));
  const asked = Math.min(MAX_RETRY_AFTER_MS, input.retryAfterMs ?? 0) * (1 + JITTER * random);
  return input.now + Math.round(Math.max(scheduled, asked));
}

export type DeliveryVerdict = 'delivered' | 'retry' | 'gone';

/**
 * 2xx is delivered and 410 ends it; everything else is worth another try: a redirect is never
 * followed and a 4xx is usually a receiver being deployed. Source: Standard Webhooks 1.0.0.
 */
export function deliveryVerdict(
  answer: { readonly status: number } | { readonly outcome: 'refused' | 'failed' },
): DeliveryVerdict {
  if (!('status' in answer)) return 'retry';
  if (answer.status >= 200 && answer.status < 300) return 'delivered';
  return answer.status === 410 ? 'gone' : 'retry';
}

const BASE_MS = 1_000;
const CAP_MS = 60_000;
const CONFIRM_MS = 15_000;
const CONFIRM_CAP_MS = 300_000;

/**
 * Full jitter: anywhere between nothing and `min(60 s, 1 s · 2^n)`, so that clients which failed
 * together do not come back together. A delay the provider asked for is a floor, itself capped
 * at 60 s so that one header cannot park a request until its deadline.
 */
export function backoffMs(input: {
  /** How many attempts on this target have failed before this wait; 0 for the first. */
  readonly failures: number;
  readonly retryAfterMs: number | null;
  /** Uniform in [0, 1). */
  readonly random: number;
}): number {
  const ceiling = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(input.failures, 30));
  const jittered = Math.floor(input.random * ceiling);
  return Math.max(jittered, cappedRetryAfterMs(input.retryAfterMs));
}

export function cappedRetryAfterMs(retryAfterMs: number | null): number {
  return Math.min(CAP_MS, Math.max(0, retryAfterMs ?? 0));
}

/**
 * A wake-up is confirmed by its receiver, never by `send()`: one that is unconfirmed after 15 s is
 * sent again, doubling to 5 min. `sends` counts those already sent, from 1.
 */
export function confirmDueAt(input: { readonly sentAt: number; readonly sends: number }): number {
  const doublings = Math.max(0, Math.min(input.sends - 1, 10));
  return input.sentAt + Math.min(CONFIRM_CAP_MS, CONFIRM_MS * 2 ** doublings);
}

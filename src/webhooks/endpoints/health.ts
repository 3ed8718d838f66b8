/**
 * What the outcome of an attempt means for its endpoint: pure, and the same object when it means
 * nothing new, so that deliveries to a healthy endpoint write no row for it.
 */
import { deliveryVerdict } from '../schedule';
import type { DisabledReason, Endpoint } from './types';

/** Longer than a weekend's outage, and than the whole schedule of one delivery. */
const FAILING_MS = 5 * 24 * 3_600_000;

export interface AttemptOutcome {
  /** Null when no answer came. */
  readonly status: number | null;
  readonly at: number;
}

/** One that is disabled stays as it is: an answer may come late. */
export function judge(endpoint: Endpoint, { status, at }: AttemptOutcome): Endpoint {
  if (endpoint.disabled) return endpoint;
  const { failingSince } = endpoint;
  switch (status === null ? 'retry' : deliveryVerdict({ status })) {
    case 'delivered':
      return failingSince === null ? endpoint : { ...endpoint, failingSince: null };
    case 'gone':
      return disabled({ ...endpoint, failingSince: failingSince ?? at }, 'gone', at);
    case 'retry':
      if (failingSince === null) return { ...endpoint, failingSince: at };
      return at - failingSince < FAILING_MS ? endpoint : disabled(endpoint, 'failing', at);
  }
}

export function disabled(endpoint: Endpoint, reason: DisabledReason, at: number): Endpoint {
  return endpoint.disabled ? endpoint : { ...endpoint, disabled: { reason, at }, updatedAt: at };
}

/** It has just been reached: what failed before does not count any more. */
export function enabled(endpoint: Endpoint, at: number): Endpoint {
  if (!endpoint.disabled) return endpoint;
  return { ...endpoint, disabled: null, failingSince: null, updatedAt: at };
}

/** One event on its way to one endpoint. */
import { z } from 'zod';
import type { DeliveryId, EndpointId, RequestId, UserId } from '../platform/ids';

export interface DeliveryAttempt {
  readonly at: number;
  /** HTTP status; null when no answer came. */
  readonly status: number | null;
  readonly durationMs: number;
  /** The first 1 kB of the answer's body; null when no answer came. */
  readonly response: string | null;
  /** Why no answer came; null when one did. */
  readonly error: string | null;
}

interface DeliveryBase {
  readonly id: DeliveryId;
  readonly userId: UserId;
  /** Null for what is about an endpoint. */
  readonly requestId: RequestId | null;
  /** Null: to the URL that the request itself names. */
  readonly endpointId: EndpointId | null;
  /** The event's type, e.g. `request.succeeded`. */
  readonly type: string;
  /** For an endpoint, where it was when the event happened: it is delivered to where it is. */
  readonly url: string;
  /** Fixed when the event happened: one delivery id never carries two bodies. */
  readonly body: string;
  readonly createdAt: number;
  readonly correlationId: string;
  readonly traceparent: string | null;
  readonly attempts: readonly DeliveryAttempt[];
  /** How many of them are older than the last replay: the schedule begins behind these. */
  readonly attemptsBefore: number;
}

export interface PendingDelivery extends DeliveryBase {
  readonly status: 'pending';
  /** Fixed with the delivery: an endpoint may move, and is counted as one all the same. */
  readonly lane: Lane;
  readonly nextAttemptAt: number;
  /** Its time has come, and its lane has no room yet. */
  readonly waitsForLane: boolean;
  /** Wake-ups sent since the last attempt. */
  readonly sends: number;
  readonly sentAt: number;
  readonly lease: {
    readonly token: string;
    readonly until: number;
    readonly at: number;
    /** Where it is posted to; undefined in a row of an earlier version. */
    readonly url?: string;
  } | null;
}

export interface FinishedDelivery extends DeliveryBase {
  /** `skipped`: it was never tried, as its endpoint was disabled or hopelessly behind. */
  readonly status: 'delivered' | 'failed' | 'skipped';
  /** Null when it was delivered, for a ping, and for one that ended before reasons were kept. */
  readonly reason: DeliveryEnd | null;
  readonly finishedAt: number;
}

export type Delivery = PendingDelivery | FinishedDelivery;

/**
 * Why it is not tried any more. `gone`: the receiver answered 410. `backlog`: so much was waiting
 * already that no more was kept for a receiver that is behind.
 */
export const deliveryEnds = [
  'schedule_over',
  'gone',
  'endpoint_disabled',
  'endpoint_deleted',
  'backlog',
] as const;
export type DeliveryEnd = (typeof deliveryEnds)[number];

/** Deliveries that have a receiver in common: an endpoint's id, or an origin. */
export type Lane = string;

/** What a consumer reports of one POST. */
export type DeliveryResult =
  | {
      readonly status: number;
      readonly durationMs: number;
      readonly response: string;
      readonly retryAfterMs: number | null;
    }
  | { readonly status: null; readonly durationMs: number; readonly error: string };

export type DeliverMessage = z.output<typeof deliverMessageSchema>;
export const deliverMessageSchema = z.object({
  type: z.literal('webhook.deliver'),
  v: z.literal(1),
  user: z.custom<UserId>((value) => typeof value === 'string' && value.startsWith('usr_')),
  delivery: z.custom<DeliveryId>((value) => typeof value === 'string' && value.startsWith('dlv_')),
  correlation_id: z.string(),
});

/** What a claimed delivery needs to be sent. */
export interface DeliveryJob {
  readonly id: DeliveryId;
  readonly userId: UserId;
  readonly requestId: RequestId | null;
  readonly endpointId: EndpointId | null;
  readonly url: string;
  readonly body: string;
  /** Signing secrets, newest first. */
  readonly secrets: readonly string[];
  readonly token: string;
  readonly attempt: number;
  readonly correlationId: string;
  readonly traceparent: string | null;
}

export type DeliveryClaim =
  | { readonly verdict: 'deliver'; readonly job: DeliveryJob }
  | { readonly verdict: 'stale' | 'busy' };

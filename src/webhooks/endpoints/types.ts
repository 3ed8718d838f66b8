/** Where a user wants to be told of what happens. */
import type { KeyedRotation } from '../../accounts/types';
import type { EndpointId, UserId } from '../../platform/ids';
import { requestEventTypes } from '../../requests/options';
import type { DeliveryAttempt } from '../types';

/** Told to the other endpoints of the user, whoever has done it. */
export const endpointEventTypes = ['endpoint.disabled', 'endpoint.enabled'] as const;
/** Sent when it is asked for, to that endpoint only, whatever its filters are. */
export const PING = 'endpoint.ping';

export const eventTypes = [...requestEventTypes, ...endpointEventTypes] as const;
/** `*` stands for every event, `request.*` for every one of its noun. */
export const eventFilters = ['*', 'request.*', 'endpoint.*', ...eventTypes] as const;
export type EventFilter = (typeof eventFilters)[number];

/** `requested`: by its owner. `gone`: it answered 410. `failing`: nothing but failures for five days. */
export type DisabledReason = 'requested' | 'gone' | 'failing';

/** More than anybody needs: each event of each request is held against all of them. */
export const MAX_ENDPOINTS = 50;

export interface SigningSecret {
  /** `whsec_…` */
  readonly secret: string;
  /** Signs no more from then on; null: until it is replaced. */
  readonly expiresAt: number | null;
}

export interface MadeSecret extends SigningSecret {
  /** The `Idempotency-Key` that it was made with. */
  readonly madeBy: string | null;
}

export interface EndpointSecret extends MadeSecret {
  readonly createdAt: number;
}

export interface Endpoint {
  readonly id: EndpointId;
  readonly userId: UserId;
  readonly url: string;
  readonly description: string;
  readonly events: readonly EventFilter[];
  /** Null while it is delivered to. */
  readonly disabled: { readonly reason: DisabledReason; readonly at: number } | null;
  /** Newest first. */
  readonly secrets: readonly EndpointSecret[];
  /** Those of the last day that came with an `Idempotency-Key`, newest first. */
  readonly rotations: readonly KeyedRotation[];
  /** The first failure since anything was delivered; null while the last attempt succeeded. */
  readonly failingSince: number | null;
  /** The `Idempotency-Key` of its creation, and the hash of what it came with. */
  readonly madeBy: { readonly key: string; readonly fingerprint: string } | null;
  readonly createdAt: number;
  /** Of its settings, its secret or its status; not of `failingSince`. */
  readonly updatedAt: number;
}

/** What of an endpoint its owner may change; undefined leaves it as it is. */
export type EndpointChanges = {
  readonly [field in 'url' | 'events' | 'description']?: Endpoint[field] | undefined;
};

export interface SecretRotation {
  readonly secret: string;
  readonly overlapMs: number;
  /** The `Idempotency-Key` that it was asked for with. */
  readonly madeBy: string | null;
}

/** `mismatch`: its key came with another overlap. `followed`: what its key made has ended. */
export type RotationRefusal = 'mismatch' | 'followed';

/** What one ping brought. */
export type PingResult = Pick<DeliveryAttempt, 'status' | 'durationMs' | 'response' | 'error'>;

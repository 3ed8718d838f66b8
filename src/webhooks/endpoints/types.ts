/** Where a user wants to be told of what happens. */
import type { EndpointId, UserId } from '../../platform/ids';
import { requestEventTypes } from '../../requests/options';

/** What happens to an endpoint by itself is told to the others that want to hear of it. */
export const endpointEventTypes = ['endpoint.disabled', 'endpoint.enabled'] as const;
/** Sent when it is asked for, whatever the filters are. */
export const PING = 'endpoint.ping';

export const eventTypes = [...requestEventTypes, ...endpointEventTypes] as const;
export type EventType = (typeof eventTypes)[number];
/** `*` stands for every event, `request.*` for every one of its noun. */
export const eventFilters = ['*', 'request.*', 'endpoint.*', ...eventTypes] as const;
export type EventFilter = (typeof eventFilters)[number];

/** `requested`: by its owner. `gone`: it answered 410. `failing`: nothing but failures for five days. */
export type DisabledReason = 'requested' | 'gone' | 'failing';

export interface EndpointSecret {
  /** `whsec_…` */
  readonly secret: string;
  readonly createdAt: number;
  /** Signs no more from then on; null: until it is replaced. */
  readonly expiresAt: number | null;
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
  /** The first failure since anything was delivered; null while the last attempt succeeded. */
  readonly failingSince: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

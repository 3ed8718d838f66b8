/** A webhook endpoint as its owner sees it, also in events that tell of one. */
import { iso } from '../../requests/view';
import type { DisabledReason, Endpoint, EventFilter } from './types';

export interface EndpointView {
  readonly id: string;
  readonly url: string;
  readonly description: string;
  readonly events: EventFilter[];
  readonly status: 'active' | 'disabled';
  readonly disabled: {
    readonly reason: DisabledReason;
    readonly at: string;
    readonly message: string;
  } | null;
  readonly failing_since: string | null;
  readonly previous_secret_expires_at: string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

const messages: Readonly<Record<DisabledReason, string>> = {
  requested: 'Disabled on request.',
  gone: 'It answered 410 Gone.',
  failing: 'Every attempt of five days failed.',
};

export function presentEndpoint(endpoint: Endpoint, now: number): EndpointView {
  const { id, url, description, events, disabled, failingSince } = endpoint;
  const previousEndsAt = endpoint.secrets[1]?.expiresAt ?? null;
  return {
    id,
    url,
    description,
    events: [...events],
    status: disabled ? 'disabled' : 'active',
    disabled: disabled && {
      reason: disabled.reason,
      at: iso(disabled.at),
      message: messages[disabled.reason],
    },
    failing_since: failingSince === null ? null : iso(failingSince),
    previous_secret_expires_at:
      previousEndsAt !== null && now < previousEndsAt ? iso(previousEndsAt) : null,
    created_at: iso(endpoint.createdAt),
    updated_at: iso(endpoint.updatedAt),
  };
}

/**
 * An endpoint is disabled or enabled, by its owner or by what its deliveries come to, and all that
 * follows: the record, the end of what is on its way to it, and word to the user's other endpoints.
 */
import { auditEvent } from '../accounts/audit/event';
import { createAudit } from '../accounts/audit/rows';
import type { By } from '../accounts/types';
import type { EndpointId } from '../platform/ids';
import { type AttemptOutcome, disabled, enabled, judge } from '../webhooks/endpoints/health';
import type { DisabledReason, Endpoint } from '../webhooks/endpoints/types';
import { presentEndpoint } from '../webhooks/endpoints/view';
import type { Desk } from './desk';
import { endpointOf, saveEndpoint } from './endpoints';
import { endDeliveriesOf, tellEndpoints } from './telling';

/** What an attempt to deliver came to. Most change nothing, and write nothing. */
export function noteOutcome(
  desk: Desk,
  id: EndpointId,
  outcome: AttemptOutcome & { readonly correlationId: string },
): void {
  const endpoint = endpointOf(desk, id);
  if (!endpoint) return;
  const next = judge(endpoint, outcome);
  if (next === endpoint) return;
  const { correlationId } = outcome;
  const system: By = {
    actor: { type: 'system', id: null },
    from: { address: null, correlationId },
  };
  if (next.disabled) follow(desk, next, { by: system, reason: next.disabled.reason });
  else saveEndpoint(desk, next);
}

/** One that is disabled keeps the reason it has. */
export function disableEndpoint(
  desk: Desk,
  endpoint: Endpoint,
  { reason, by }: { readonly reason: DisabledReason; readonly by: By },
): Endpoint {
  const next = disabled(endpoint, reason, desk.now);
  if (next !== endpoint) follow(desk, next, { by, reason });
  return next;
}

export function enableEndpoint(desk: Desk, endpoint: Endpoint, by: By): Endpoint {
  const next = enabled(endpoint, desk.now);
  if (next !== endpoint) follow(desk, next, { by, reason: null });
  return next;
}

function follow(
  desk: Desk,
  endpoint: Endpoint,
  { by, reason }: { readonly by: By; readonly reason: DisabledReason | null },
): void {
  saveEndpoint(desk, endpoint);
  const { userId, id } = endpoint;
  const action = reason ? 'webhook.disabled' : 'webhook.enabled';
  const details = { host: new URL(endpoint.url).host, ...(reason ? { reason } : {}) };
  createAudit(desk.sql, auditEvent(by, { action, userId, target: id, details }, desk.now));
  if (reason) endDeliveriesOf(desk, id, 'endpoint_disabled');
  tellEndpoints(desk, {
    type: reason ? 'endpoint.disabled' : 'endpoint.enabled',
    at: desk.now,
    about: id,
    data: presentEndpoint(endpoint, desk.now),
    correlationId: by.from.correlationId,
  });
}

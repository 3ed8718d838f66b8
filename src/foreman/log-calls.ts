/** What a user asks of the deliveries that its foreman holds: to see them, and to send some again. */
import { auditEvent, byOf } from '../accounts/audit/event';
import { createAudit } from '../accounts/audit/rows';
import type { Credential } from '../accounts/types';
import type { DeliveryId, EndpointId } from '../platform/ids';
import * as ledger from '../requests/ledger';
import * as deliveries from '../webhooks/deliveries';
import { hurryDelivery, replayDelivery } from '../webhooks/delivery';
import type { HeldDeliveries, LogQuery } from '../webhooks/log/page';
import type { Delivery, FinishedDelivery } from '../webhooks/types';
import { clientCall } from './client-call';
import type { Desk } from './desk';
import { endpointOf } from './endpoints';
import { addDelivery, fillLanes, startDelivery } from './lanes';

/** Finished ones that D1 has not heard of: so many are looked at. More are there while D1 is down. */
const FINISHED_SEEN = 200;
/** Pending ones that one page is chosen from: a dead endpoint may have hundreds of thousands. */
const PENDING_SEEN = 1_000;

interface Replay {
  readonly credential: Credential;
  readonly endpointId: EndpointId | null;
  readonly ids: readonly DeliveryId[];
  /** What D1 has of them. */
  readonly archived: readonly FinishedDelivery[];
}

export const logCalls = {
  /** Null for an endpoint that is not there. Bodies are left out: nobody is shown them. */
  heldDeliveries: clientCall('requests:read', heldDeliveries),
  replayDeliveries: clientCall('requests:write', replayDeliveries),
};

function heldDeliveries(
  desk: Desk,
  { query, known }: { readonly query: LogQuery; readonly known: readonly DeliveryId[] },
): HeldDeliveries | null {
  if (query.endpointId !== null && !endpointOf(desk, query.endpointId)) return null;
  const page: Delivery[] = [];
  const { ids, end } = idsOf(desk, query);
  for (const id of ids) {
    if (page.length === query.limit) break;
    const delivery = deliveries.getOne(desk.sql, id);
    if (delivery && fits(query, delivery)) page.push({ ...delivery, body: '' });
  }
  const held = known.flatMap((id) => deliveries.getOne(desk.sql, id) ?? []);
  return { page, known: held.map((delivery) => ({ ...delivery, body: '' })), end };
}

/** Newest first. `end`: behind it nothing has been looked at. */
function idsOf(desk: Desk, query: LogQuery): { ids: DeliveryId[]; end: DeliveryId | null } {
  const { endpointId, before } = query;
  const pending =
    query.status === null || query.status === 'pending'
      ? deliveries.getPendingIds(desk.sql, { endpointId, before, limit: PENDING_SEEN })
      : [];
  const finished =
    query.status === 'pending'
      ? []
      : deliveries.getFinished(desk.sql, FINISHED_SEEN).map(({ id }) => id);
  const ids = [...pending, ...finished]
    .filter((id) => before === null || id < before)
    .sort()
    .reverse();
  return { ids, end: pending.length === PENDING_SEEN ? (pending.at(-1) ?? null) : null };
}

const fits = ({ endpointId, status, type }: LogQuery, delivery: Delivery) =>
  delivery.endpointId === endpointId &&
  (status === null || delivery.status === status) &&
  (type === null || delivery.type === type);

/** Safe to make again: what is pending already is not replayed. */
function replayDeliveries(
  desk: Desk,
  { credential, endpointId, ids, archived }: Replay,
):
  | { readonly replayed: number; readonly found: boolean }
  | { readonly refusal: 'disabled' }
  | null {
  const endpoint = endpointId === null ? null : endpointOf(desk, endpointId);
  if (endpointId !== null && !endpoint) return null;
  if (endpoint?.disabled) return { refusal: 'disabled' };
  // What D1 has no correlation id of goes under that of this call.
  const { correlationId } = credential.from;
  const byId = new Map(archived.map((delivery) => [delivery.id, { ...delivery, correlationId }]));
  const found = ids.flatMap((id) => {
    const held = deliveries.getOne(desk.sql, id);
    const delivery = held ?? byId.get(id) ?? null;
    return delivery && isOwn(desk, delivery, endpointId)
      ? [{ delivery, isHeld: held !== null }]
      : [];
  });
  const replayed = found.filter(({ delivery, isHeld }) => sendAgain(desk, delivery, isHeld)).length;
  fillLanes(desk);
  if (replayed > 0) {
    const { userId } = credential;
    const what = { userId, target: endpointId, details: { deliveries: replayed } };
    const event = auditEvent(byOf(credential), { action: 'webhook.replayed', ...what }, desk.now);
    createAudit(desk.sql, event);
  }
  return { replayed, found: found.length > 0 };
}

/** The log of a deleted request is about to go. */
function isOwn(desk: Desk, delivery: Delivery, endpointId: EndpointId | null): boolean {
  const { requestId } = delivery;
  if (delivery.endpointId !== endpointId) return false;
  const request = requestId === null ? null : ledger.getOne(desk.sql, requestId);
  return request?.state.status !== 'deleted';
}

/** Says whether it was not on its way already. */
function sendAgain(desk: Desk, delivery: Delivery, isHeld: boolean): boolean {
  if (delivery.status !== 'pending') {
    const again = replayDelivery(delivery, desk.now);
    if (isHeld) startDelivery(desk, again, delivery);
    else addDelivery(desk, again);
    return true;
  }
  const next = hurryDelivery(delivery, desk.now);
  if (next !== delivery) startDelivery(desk, next, delivery);
  return next !== delivery;
}

/**
 * Who is told of what happens: the URL that a request names itself, and every endpoint of its user
 * that wants to hear of it. Each receiver gets a delivery of its own with the same body, which is
 * rendered once; that some go to a receiver twice, because both name its URL, is left to the user.
 * Deliveries leave as their lanes allow, so they may arrive in another order than they happened: the
 * `sequence` in the body tells it. Runs inside one transaction.
 */
import { cellOf, type EndpointId, newId } from '../platform/ids';
import type { RequestEvent, RequestState } from '../requests/types';
import * as deliveries from '../webhooks/deliveries';
import {
  createDelivery,
  endDelivery,
  type NewDelivery,
  skippedDelivery,
} from '../webhooks/delivery';
import type { Endpoint } from '../webhooks/endpoints/types';
import { eventBody, plainEventBody, wants } from '../webhooks/event';
import type { Delivery, DeliveryEnd, PendingDelivery } from '../webhooks/types';
import type { Desk } from './desk';
import { endpointOf, endpointsOf } from './endpoints';
import { addDelivery, fillLanes, keepDelivery } from './lanes';
import { wakeProjector } from './waking';

/** One change ends no more deliveries than this; the alarm goes on at once. */
const ENDED_AT_ONCE = 100;

/**
 * Half of the 10 GB that an object may have: three receivers that are dead reach it within days at a
 * hundred requests a minute, and a full object could not accept, or end, anything any more.
 */
const BACKLOG_BYTES = 5_000_000_000;

/** Of every version since `previous`. A user who is being deleted is told nothing any more. */
export function announce(desk: Desk, previous: RequestState | null, state: RequestState): void {
  if (desk.memory.deletion) return;
  const seen = previous?.version ?? 0;
  for (const event of state.events) if (event.version > seen) tellOf(desk, state, event);
}

function tellOf(desk: Desk, state: RequestState, event: RequestEvent): void {
  const { webhook } = state;
  const endpoints = endpointsOf(desk).filter(({ events }) => wants(events, event.type));
  const isNamed = webhook !== null && wants(webhook.events, event.type);
  if (!isNamed && endpoints.length === 0) return;
  const about = {
    userId: state.userId,
    requestId: state.id,
    type: event.type,
    body: eventBody(event, desk.present(state)),
    correlationId: state.correlationId,
    traceparent: state.traceparent,
  };
  if (isNamed) {
    deliverTo(desk, about, { id: null, url: webhook.url, disabled: null, failingSince: null });
  }
  for (const endpoint of endpoints) deliverTo(desk, about, endpoint);
}

/** Of what is about no request. Whom it is about is not told of itself. */
export function tellEndpoints(
  desk: Desk,
  what: {
    readonly type: string;
    /** Epoch ms. */
    readonly at: number;
    readonly about: EndpointId;
    readonly data: object;
    readonly correlationId: string;
  },
): void {
  const { type, about, at, correlationId } = what;
  const body = plainEventBody(what);
  desk.effects.push({ broadcast: { id: `${about}:${at}`, type, body } });
  const hearers = endpointsOf(desk).filter(({ id, events }) => id !== about && wants(events, type));
  const [first] = hearers;
  if (!first) return;
  const { userId } = first;
  const event = { userId, requestId: null, type, body, correlationId, traceparent: null };
  for (const endpoint of hearers) deliverTo(desk, event, endpoint);
  wakeProjector(desk, userId);
}

type Receiver = { readonly id: EndpointId | null } & Pick<
  Endpoint,
  'url' | 'disabled' | 'failingSince'
>;

function deliverTo(
  desk: Desk,
  event: Omit<NewDelivery, 'id' | 'endpointId' | 'url'>,
  to: Receiver,
): void {
  const id = newId('dlv', desk.now, cellOf(event.userId));
  const delivery = { ...event, id, endpointId: to.id, url: to.url };
  const next = createDelivery(delivery, desk.now);
  const skip = to.disabled ? 'endpoint_disabled' : isHopeless(desk, to, next) ? 'backlog' : null;
  if (skip) keepDelivery(desk, null, skippedDelivery(delivery, skip, desk.now));
  else addDelivery(desk, next);
}

/** Who keeps up is told on, however much the others have left behind. */
const isHopeless = ({ sql, memory }: Desk, { failingSince }: Receiver, { lane }: PendingDelivery) =>
  sql.databaseSize > BACKLOG_BYTES && (failingSince !== null || memory.lanes.waiting.has(lane));

/** Why nothing goes to its endpoint any more; null while it is delivered to. */
export function deadEndOf(desk: Desk, { endpointId }: Delivery): DeliveryEnd | null {
  if (endpointId === null) return null;
  const endpoint = endpointOf(desk, endpointId);
  if (!endpoint) return 'endpoint_deleted';
  return endpoint.disabled ? 'endpoint_disabled' : null;
}

/**
 * What is pending for an endpoint ends, and stays in the log. A POST that is under way comes to its
 * own end. Thousands may be pending: what one change does not end, the alarm does.
 */
export function endDeliveriesOf(
  desk: Desk,
  endpointId: EndpointId,
  why: Extract<DeliveryEnd, 'endpoint_deleted' | 'endpoint_disabled'>,
): void {
  const pending = deliveries.getUnleasedOf(desk.sql, { lane: endpointId, limit: ENDED_AT_ONCE });
  for (const delivery of pending) {
    keepDelivery(desk, delivery, endDelivery(delivery, why, desk.now));
  }
  if (pending.length < ENDED_AT_ONCE) desk.memory.ending.delete(endpointId);
  else desk.memory.ending.add(endpointId);
  const [first] = pending;
  if (first) wakeProjector(desk, first.userId);
  fillLanes(desk);
}

/** One endpoint's worth. One that is delivered to again in the meantime keeps the rest. */
export function endMoreDeliveries(desk: Desk): void {
  const [endpointId] = desk.memory.ending;
  if (endpointId === undefined) return;
  const endpoint = endpointOf(desk, endpointId);
  if (endpoint && !endpoint.disabled) desk.memory.ending.delete(endpointId);
  else endDeliveriesOf(desk, endpointId, endpoint ? 'endpoint_disabled' : 'endpoint_deleted');
}

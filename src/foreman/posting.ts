/**
 * What becomes of a delivery: it is claimed and settled by the webhook consumer, and attended to when
 * its time has come. Runs inside one transaction.
 */
import * as accounts from '../accounts/limits';
import type { DeliveryId } from '../platform/ids';
import * as ledger from '../requests/ledger';
import * as deliveries from '../webhooks/deliveries';
import { claimDelivery, endDelivery, loseDelivery, settleDelivery } from '../webhooks/delivery';
import type {
  Delivery,
  DeliveryClaim,
  DeliveryResult,
  FinishedDelivery,
  PendingDelivery,
} from '../webhooks/types';
import type { Desk } from './desk';
import { noteOutcome } from './endpoint-status';
import { endpointOf, secretsFor } from './endpoints';
import { fillLanes, keepDelivery, startDelivery } from './lanes';
import { deadEndOf } from './telling';
import { wakeProjector } from './waking';

/**
 * Where it goes and what signs it is what holds now: an endpoint may have moved since. A suspended
 * account is told what came of its requests, too.
 */
export function claim(
  desk: Desk,
  input: { readonly delivery: DeliveryId; readonly token: string },
): DeliveryClaim {
  const delivery = deliveries.getOne(desk.sql, input.delivery);
  const account = desk.memory.deletion ? null : accounts.loadAccount(desk.sql);
  if (delivery?.status !== 'pending' || !account) return { verdict: 'stale' };
  const { token } = input;
  const isRepeated = delivery.lease?.token === token;
  if (!isRepeated && endAtDeadEnd(desk, delivery)) return { verdict: 'stale' };
  const { id, userId, requestId, endpointId, body, correlationId, traceparent } = delivery;
  const endpoint = endpointId === null ? null : endpointOf(desk, endpointId);
  const secrets = secretsFor(desk, delivery);
  // Its endpoint was deleted before the answer to its claim got through.
  if (secrets.length === 0) return { verdict: 'stale' };
  const url = endpoint?.url ?? delivery.url;
  const next = claimDelivery(delivery, { token, url }, desk.now);
  if (next === delivery && !isRepeated) return { verdict: delivery.lease ? 'busy' : 'stale' };
  keepDelivery(desk, delivery, next);
  return {
    verdict: 'deliver',
    job: {
      id,
      userId,
      requestId,
      endpointId,
      url,
      body,
      secrets,
      token,
      attempt: delivery.attempts.length + 1,
      correlationId,
      traceparent,
    },
  };
}

export function settle(
  desk: Desk,
  input: {
    readonly delivery: DeliveryId;
    readonly token: string;
    readonly result: DeliveryResult;
  },
): { readonly verdict: 'settled' | 'stale' } {
  const delivery = deliveries.getOne(desk.sql, input.delivery);
  if (!delivery) return { verdict: 'stale' };
  const { token, result } = input;
  const facts = { token, result, random: desk.random, hasMoved: hasMoved(desk, delivery) };
  const next = settleDelivery(delivery, facts, desk.now);
  if (next === delivery) return { verdict: 'stale' };
  conclude(desk, delivery, next);
  return { verdict: 'settled' };
}

/** Its lease has ended, its wake-up was not confirmed, or it is to be tried again. */
export function attendDelivery(desk: Desk, id: DeliveryId): void {
  const delivery = deliveries.getOne(desk.sql, id);
  if (delivery?.status !== 'pending') return;
  const lost = loseDelivery(delivery, desk.random, desk.now);
  if (lost !== delivery) conclude(desk, delivery, lost);
  else if (!endAtDeadEnd(desk, delivery)) startDelivery(desk, delivery);
}

/** One attempt has ended, and with it perhaps the delivery, or its endpoint's good name. */
function conclude(desk: Desk, delivery: Delivery, next: Delivery): void {
  keepDelivery(desk, delivery, next);
  const last = next.attempts.at(-1);
  if (next.endpointId !== null && last && !hasMoved(desk, delivery)) {
    const { correlationId } = next;
    noteOutcome(desk, next.endpointId, { status: last.status, at: desk.now, correlationId });
  }
  if (next.status !== 'pending') handOver(desk, next);
  else endAtDeadEnd(desk, next);
  fillLanes(desk);
}

/** Its endpoint is elsewhere than where it was posted to: what came of that says nothing of it. */
function hasMoved(desk: Desk, delivery: Delivery): boolean {
  const postedTo = delivery.status === 'pending' ? delivery.lease?.url : undefined;
  const endpoint = delivery.endpointId === null ? null : endpointOf(desk, delivery.endpointId);
  return endpoint !== null && postedTo !== undefined && postedTo !== endpoint.url;
}

/** Nothing is sent to an endpoint that is deleted or disabled. Says whether this one ended so. */
function endAtDeadEnd(desk: Desk, delivery: PendingDelivery): boolean {
  const reason = deadEndOf(desk, delivery);
  const current = reason && deliveries.getOne(desk.sql, delivery.id);
  if (!current) return false;
  const ended = endDelivery(current, reason, desk.now);
  if (ended.status === 'pending') return false;
  keepDelivery(desk, current, ended);
  handOver(desk, ended);
  fillLanes(desk);
  return true;
}

/** The log of a deleted request goes with it. */
function handOver(desk: Desk, delivery: FinishedDelivery): void {
  const { requestId } = delivery;
  const request = requestId === null ? null : ledger.getOne(desk.sql, requestId);
  if (request?.state.status === 'deleted') deliveries.deleteOne(desk.sql, delivery);
  else wakeProjector(desk, delivery.userId);
}

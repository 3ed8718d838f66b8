/**
 * Deliveries and the places they take. Every row of one is written here, so that the counts in memory
 * agree with the rows; who has no place waits in the foreman, without an alarm, until one of its lane
 * is free. Runs inside one transaction.
 */
import * as deliveries from '../webhooks/deliveries';
import { holdDelivery, sendDelivery } from '../webhooks/delivery';
import { countIn, mayGo, moveBack, nextLane, placeOf } from '../webhooks/lanes';
import type { DeliverMessage, Delivery, PendingDelivery } from '../webhooks/types';
import type { Desk } from './desk';

/** `before`: null for a new one. */
export function keepDelivery(desk: Desk, before: Delivery | null, next: Delivery): void {
  if (next === before) return;
  if (before) deliveries.updateOne(desk.sql, next);
  else deliveries.createOne(desk.sql, next);
  countIn(desk.memory.lanes, before, -1);
  countIn(desk.memory.lanes, next, 1);
}

/** A new one, due at once. */
export function addDelivery(desk: Desk, delivery: PendingDelivery): void {
  keepDelivery(desk, null, sentOrHeld(desk, delivery));
}

/** Its time has come, or its wake-up was not confirmed. `before`: how it stands in its row. */
export function startDelivery(
  desk: Desk,
  delivery: PendingDelivery,
  before: Delivery = delivery,
): void {
  keepDelivery(desk, before, sentOrHeld(desk, delivery));
}

/** Whoever has waited longest goes where there is room now. Ends with the user's last place. */
export function fillLanes(desk: Desk): void {
  const { lanes } = desk.memory;
  for (let lane = nextLane(lanes); lane !== null; lane = nextLane(lanes)) {
    const delivery = deliveries.getNextOfLane(desk.sql, lane);
    const next = delivery && sent(desk, delivery);
    // Nobody waits, or nobody that can be read and sent: each turn of this loop must take one away.
    if (!next || next === delivery) {
      lanes.waiting.delete(lane);
      continue;
    }
    keepDelivery(desk, delivery, next);
    moveBack(lanes, lane);
  }
}

function sentOrHeld(desk: Desk, delivery: PendingDelivery): Delivery {
  const hasPlace = placeOf(delivery) === 'inFlight' || mayGo(desk.memory.lanes, delivery.lane);
  return hasPlace ? sent(desk, delivery) : holdDelivery(delivery, desk.now);
}

function sent(desk: Desk, delivery: Delivery): Delivery {
  const next = sendDelivery(delivery, desk.now);
  if (next !== delivery) desk.effects.push({ send: 'deliver', message: deliverMessage(next) });
  return next;
}

const deliverMessage = (delivery: Delivery): DeliverMessage => ({
  type: 'webhook.deliver',
  v: 1,
  user: delivery.userId,
  delivery: delivery.id,
  correlation_id: delivery.correlationId,
});

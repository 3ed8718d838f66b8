/** What the webhook consumer does to deliveries: claim, settle. Runs inside one transaction. */
import * as accounts from '../accounts/limits';
import type { DeliveryId } from '../platform/ids';
import * as ledger from '../requests/ledger';
import * as deliveries from '../webhooks/deliveries';
import { claimDelivery, settleDelivery } from '../webhooks/delivery';
import type { DeliveryClaim, DeliveryResult } from '../webhooks/types';
import { type Desk, wakeProjector } from './desk';

export function claim(
  desk: Desk,
  input: { readonly delivery: DeliveryId; readonly token: string },
): DeliveryClaim {
  const delivery = deliveries.getOne(desk.sql, input.delivery);
  const account = desk.memory.deletion ? null : accounts.loadAccount(desk.sql);
  if (delivery?.status !== 'pending' || !account) return { verdict: 'stale' };
  const { token } = input;
  const isRepeated = delivery.lease?.token === token;
  const next = claimDelivery(delivery, token, desk.now);
  if (next !== delivery) deliveries.updateOne(desk.sql, next);
  else if (!isRepeated) return { verdict: delivery.lease ? 'busy' : 'stale' };
  const { id, userId, requestId, endpointId, url, body, correlationId, traceparent, attempts } =
    delivery;
  return {
    verdict: 'deliver',
    job: {
      id,
      userId,
      requestId,
      endpointId,
      url,
      body,
      secrets: [account.webhookSecret],
      token,
      attempt: attempts.length + 1,
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
  const next = settleDelivery(delivery, { token, result, random: desk.random }, desk.now);
  if (next === delivery) return { verdict: 'stale' };
  deliveries.updateOne(desk.sql, next);
  if (next.status === 'pending') return { verdict: 'settled' };
  // The log of a deleted request goes with it.
  const { requestId } = next;
  const request = requestId === null ? null : ledger.getOne(desk.sql, requestId);
  const isDeleted = request?.state.status === 'deleted';
  if (isDeleted) deliveries.deleteOne(desk.sql, next.id);
  else wakeProjector(desk, next.userId);
  return { verdict: 'settled' };
}

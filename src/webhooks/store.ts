/** D1's log of finished deliveries. */
import type { Credential } from '../accounts/types';
import type { EndpointId, RequestId } from '../platform/ids';
import type { Delivery, DeliveryAttempt, FinishedDelivery } from './types';

export interface DeliveryRow {
  id: Delivery['id'];
  user_id: Delivery['userId'];
  /** '' for what is about an endpoint. */
  request_id: RequestId | '';
  endpoint_id: EndpointId | null;
  type: string;
  url: string;
  status: FinishedDelivery['status'];
  reason: FinishedDelivery['reason'];
  attempts: string;
  body: string;
  created_at: number;
  finished_at: number;
}

/**
 * The log of a deleted request is not written any more, whatever is still on its way. One that was
 * replayed ends again, and its last end is what counts.
 */
export function deliveryStatements(
  db: D1Database,
  deliveries: readonly FinishedDelivery[],
): D1PreparedStatement[] {
  return deliveries.map((delivery) =>
    db
      .prepare(
        `INSERT INTO webhook_deliveries (id, user_id, request_id, type, url, status, attempts, body,
           created_at, finished_at, endpoint_id, reason)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
         WHERE NOT EXISTS (SELECT 1 FROM requests WHERE id = ?3 AND status = 'deleted')
         ON CONFLICT (id) DO UPDATE SET url = excluded.url, status = excluded.status,
           reason = excluded.reason, attempts = excluded.attempts,
           finished_at = excluded.finished_at
         WHERE excluded.finished_at > webhook_deliveries.finished_at`,
      )
      .bind(
        delivery.id,
        delivery.userId,
        delivery.requestId ?? '',
        delivery.type,
        delivery.url,
        delivery.status,
        JSON.stringify(delivery.attempts),
        delivery.body,
        delivery.createdAt,
        delivery.finishedAt,
        delivery.endpointId,
        delivery.reason,
      ),
  );
}

export function deleteDeliveryStatement(
  db: D1Database,
  input: { userId: string; requestId: RequestId },
): D1PreparedStatement {
  return db
    .prepare('DELETE FROM webhook_deliveries WHERE user_id = ? AND request_id = ?')
    .bind(input.userId, input.requestId);
}

/** For the end of a user, page by page. */
export function deleteDeliveriesOf(
  db: D1Database,
  { userId, limit }: { readonly userId: string; readonly limit: number },
): D1PreparedStatement {
  return db
    .prepare(
      `DELETE FROM webhook_deliveries WHERE id IN
       (SELECT id FROM webhook_deliveries WHERE user_id = ? LIMIT ?)`,
    )
    .bind(userId, limit);
}

export async function getFinishedOf(
  db: D1Database,
  input: { credential: Pick<Credential, 'userId'>; id: RequestId },
): Promise<Delivery[]> {
  const { results } = await db
    .prepare(
      `SELECT * FROM webhook_deliveries WHERE user_id = ? AND request_id = ? ORDER BY created_at`,
    )
    .bind(input.credential.userId, input.id)
    .all<DeliveryRow>();
  return results.map(fromRow);
}

/** Written by `deliveryStatements` only. */
export function fromRow(row: DeliveryRow): FinishedDelivery {
  return {
    id: row.id,
    userId: row.user_id,
    requestId: row.request_id === '' ? null : row.request_id,
    endpointId: row.endpoint_id,
    type: row.type,
    url: row.url,
    status: row.status,
    reason: row.reason,
    attempts: JSON.parse(row.attempts) as DeliveryAttempt[],
    attemptsBefore: 0,
    body: row.body,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    correlationId: '',
    traceparent: null,
  };
}

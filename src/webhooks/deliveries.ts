/** The rows of deliveries inside the foreman object: pending ones, and finished ones until D1 has them. */
import type { DeliveryId, RequestId } from '../platform/ids';
import { deliveryDueAt } from './delivery';
import type { Delivery, FinishedDelivery } from './types';

export const deliveryTables: readonly string[] = [
  `CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    state TEXT NOT NULL
  ) WITHOUT ROWID`,
  // Finished rows are found by their own column: they are news for D1 and due for nothing else.
  'CREATE INDEX deliveries_due ON deliveries (finished, due_at)',
];

/** Rows are written by this file only; those of earlier versions lack what is added here. */
const fromRow = (row: { state: string }): Delivery => ({
  ...{ endpointId: null, attemptsBefore: 0 },
  ...(JSON.parse(row.state) as Delivery),
});

export function getOne(sql: SqlStorage, id: DeliveryId): Delivery | null {
  const [row] = sql.exec<{ state: string }>('SELECT state FROM deliveries WHERE id = ?', id);
  return row ? fromRow(row) : null;
}

/** Those of one request that are still here, oldest first: a scan, for the rare reader. */
export function getOfRequest(sql: SqlStorage, requestId: RequestId): Delivery[] {
  return sql
    .exec<{ state: string }>(
      'SELECT state FROM deliveries WHERE request_id = ? ORDER BY id',
      requestId,
    )
    .toArray()
    .map(fromRow);
}

export function createOne(sql: SqlStorage, delivery: Delivery): void {
  sql.exec(
    'INSERT INTO deliveries (id, request_id, due_at, finished, state) VALUES (?, ?, ?, 0, ?)',
    delivery.id,
    delivery.requestId,
    deliveryDueAt(delivery),
    JSON.stringify(delivery),
  );
}

export function updateOne(sql: SqlStorage, delivery: Delivery): void {
  sql.exec(
    'UPDATE deliveries SET due_at = ?, finished = ?, state = ? WHERE id = ?',
    deliveryDueAt(delivery),
    delivery.status === 'pending' ? 0 : 1,
    JSON.stringify(delivery),
    delivery.id,
  );
}

export function deleteOne(sql: SqlStorage, id: DeliveryId): void {
  sql.exec('DELETE FROM deliveries WHERE id = ? AND finished = 1', id);
}

export function getDueIds(sql: SqlStorage, input: { now: number; limit: number }): DeliveryId[] {
  return sql
    .exec<{ id: DeliveryId }>(
      'SELECT id FROM deliveries WHERE finished = 0 AND due_at <= ? ORDER BY due_at LIMIT ?',
      input.now,
      input.limit,
    )
    .toArray()
    .map(({ id }) => id);
}

export function updateDue(sql: SqlStorage, input: { id: DeliveryId; dueAt: number }): void {
  sql.exec('UPDATE deliveries SET due_at = ? WHERE id = ?', input.dueAt, input.id);
}

export function getEarliestDue(sql: SqlStorage): number | null {
  return sql
    .exec<{ due: number | null }>('SELECT min(due_at) AS due FROM deliveries WHERE finished = 0')
    .one().due;
}

export function getFinished(sql: SqlStorage, limit: number): FinishedDelivery[] {
  return sql
    .exec<{ state: string }>('SELECT state FROM deliveries WHERE finished = 1 LIMIT ?', limit)
    .toArray()
    .map(fromRow)
    .filter((delivery) => delivery.status !== 'pending');
}

export function hasFinished(sql: SqlStorage): boolean {
  return sql.exec('SELECT 1 FROM deliveries WHERE finished = 1 LIMIT 1').toArray().length > 0;
}

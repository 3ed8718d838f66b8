/** The rows of deliveries inside the foreman object: pending ones, and finished ones until D1 has them. */
import type { DeliveryId, EndpointId, RequestId } from '../platform/ids';
import { deliveryDueAt, NEVER } from './delivery';
import { createLanes, type Lanes, placeOf } from './lanes';
import type { Delivery, FinishedDelivery, Lane } from './types';

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

/** A URL is cut where its path begins: what `laneOf` makes of all but a few. */
const LANE_OF_EARLIER = `coalesce(json_extract(state, '$.endpointId'),
  substr(json_extract(state, '$.url'), 1,
    instr(substr(json_extract(state, '$.url'), 9) || '/', '/') + 7))`;

/**
 * `place`: 0 none, 1 sent, 2 leased, 3 waits for its lane; a lane is counted from the first index
 * alone. The second has a row only for those that wait, so one that never does costs no more writes.
 */
export const laneTables: readonly string[] = [
  "ALTER TABLE deliveries ADD COLUMN lane TEXT NOT NULL DEFAULT ''",
  'ALTER TABLE deliveries ADD COLUMN place INTEGER NOT NULL DEFAULT 0',
  'ALTER TABLE deliveries ADD COLUMN is_repeat INTEGER NOT NULL DEFAULT 0',
  `UPDATE deliveries SET
     lane = ${LANE_OF_EARLIER},
     place = CASE WHEN json_extract(state, '$.lease') IS NOT NULL THEN 2
                  WHEN json_extract(state, '$.sends') > 0 THEN 1 ELSE 0 END
   WHERE finished = 0 AND json_valid(state)`,
  'DROP INDEX deliveries_due',
  'CREATE INDEX deliveries_due ON deliveries (finished, due_at, place, lane)',
  'CREATE INDEX deliveries_waiting ON deliveries (lane, is_repeat) WHERE place = 3',
];

interface Row {
  readonly [column: string]: SqlStorageValue;
  readonly state: string;
  readonly lane: Lane;
}

/** What rows of earlier versions have none of. */
const added = { endpointId: null, attemptsBefore: 0 } as const;
const addedToPending = { waitsForLane: false } as const;
const addedToFinished = { reason: null } as const;

/** Rows are written by this file only. */
function fromRow({ state, lane }: Row): Delivery {
  const stored = JSON.parse(state) as Delivery;
  return stored.status === 'pending'
    ? { ...added, ...addedToPending, ...stored, lane }
    : { ...added, ...addedToFinished, ...stored };
}

export function getOne(sql: SqlStorage, id: DeliveryId): Delivery | null {
  const [row] = sql.exec<Row>('SELECT state, lane FROM deliveries WHERE id = ?', id);
  return row ? fromRow(row) : null;
}

/** Those of one request that are still here, oldest first: a scan, for the rare reader. */
export function getOfRequest(sql: SqlStorage, requestId: RequestId): Delivery[] {
  return sql
    .exec<Row>('SELECT state, lane FROM deliveries WHERE request_id = ? ORDER BY id', requestId)
    .toArray()
    .map(fromRow);
}

/** Ids of what is pending for an endpoint (null: for other URLs), newest first, from the index alone. */
export function getPendingIds(
  sql: SqlStorage,
  of: {
    readonly endpointId: EndpointId | null;
    readonly before: DeliveryId | null;
    readonly limit: number;
  },
): DeliveryId[] {
  return sql
    .exec<{ id: DeliveryId }>(
      `SELECT id FROM deliveries INDEXED BY deliveries_due
       WHERE finished = 0 AND (CASE WHEN ?1 IS NULL THEN lane NOT LIKE 'whk_%' ELSE lane = ?1 END)
         AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3`,
      of.endpointId,
      of.before,
      of.limit,
    )
    .toArray()
    .map(({ id }) => id);
}

export function createOne(sql: SqlStorage, delivery: Delivery): void {
  sql.exec(
    `INSERT INTO deliveries (id, request_id, due_at, finished, state, lane, place, is_repeat)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    delivery.id,
    // What is about an endpoint is about no request.
    delivery.requestId ?? '',
    ...changing(delivery),
  );
}

export function updateOne(sql: SqlStorage, delivery: Delivery): void {
  sql.exec(
    `UPDATE deliveries SET due_at = ?, finished = ?, state = ?, lane = ?, place = ?, is_repeat = ?
     WHERE id = ?`,
    ...changing(delivery),
    delivery.id,
  );
}

function changing(delivery: Delivery): SqlStorageValue[] {
  const isPending = delivery.status === 'pending';
  return [
    deliveryDueAt(delivery),
    isPending ? 0 : 1,
    JSON.stringify(delivery),
    isPending ? delivery.lane : '',
    placeNumber(delivery),
    delivery.attempts.length > delivery.attemptsBefore ? 1 : 0,
  ];
}

function placeNumber(delivery: Delivery): number {
  const place = placeOf(delivery);
  if (place !== 'inFlight') return place === 'waiting' ? 3 : 0;
  return delivery.status === 'pending' && delivery.lease ? 2 : 1;
}

/** Whoever read it finished then: since then it may have been replayed, and have ended once more. */
export function deleteOne(
  sql: SqlStorage,
  { id, finishedAt }: Pick<FinishedDelivery, 'id' | 'finishedAt'>,
): void {
  sql.exec('DELETE FROM deliveries WHERE id = ? AND finished = 1 AND due_at = ?', id, finishedAt);
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
  const { due } = sql
    .exec<{ due: number | null }>('SELECT min(due_at) AS due FROM deliveries WHERE finished = 0')
    .one();
  return due === NEVER ? null : due;
}

export function getFinished(sql: SqlStorage, limit: number): FinishedDelivery[] {
  return sql
    .exec<Row>('SELECT state, lane FROM deliveries WHERE finished = 1 LIMIT ?', limit)
    .toArray()
    .map(fromRow)
    .filter((delivery) => delivery.status !== 'pending');
}

export function hasFinished(sql: SqlStorage): boolean {
  return sql.exec('SELECT 1 FROM deliveries WHERE finished = 1 LIMIT 1').toArray().length > 0;
}

/** From the index alone, however long the bodies are. */
export function countLanes(sql: SqlStorage): Lanes {
  const lanes = createLanes();
  const rows = sql.exec<{ lane: Lane; waits: number; count: number }>(
    `SELECT lane, place = 3 AS waits, count(*) AS count FROM deliveries
     WHERE finished = 0 AND place > 0 GROUP BY lane, waits`,
  );
  for (const { lane, waits, count } of rows) {
    (waits ? lanes.waiting : lanes.inFlight).set(lane, count);
  }
  return lanes;
}

/** First tries before repeated ones, then by age: ids sort by time. One that cannot be read is left. */
export function getNextOfLane(sql: SqlStorage, lane: Lane): Delivery | null {
  const [row] = sql.exec<Row>(
    `SELECT state, lane FROM deliveries WHERE place = 3 AND lane = ? AND json_valid(state)
     ORDER BY is_repeat, id LIMIT 1`,
    lane,
  );
  return row ? fromRow(row) : null;
}

/** Those of a lane that no POST is under way for. */
export function getUnleasedOf(
  sql: SqlStorage,
  of: { readonly lane: Lane; readonly limit: number },
): Delivery[] {
  return sql
    .exec<Row>(
      `SELECT state, lane FROM deliveries
       WHERE finished = 0 AND lane = ? AND place <> 2 AND json_valid(state) LIMIT ?`,
      of.lane,
      of.limit,
    )
    .toArray()
    .map(fromRow);
}

/** Endpoints that something is pending for, those with a POST under way aside. */
export function getPendingEndpoints(sql: SqlStorage): EndpointId[] {
  return sql
    .exec<{ lane: EndpointId }>(
      "SELECT DISTINCT lane FROM deliveries WHERE finished = 0 AND place <> 2 AND lane LIKE 'whk_%'",
    )
    .toArray()
    .map(({ lane }) => lane);
}
